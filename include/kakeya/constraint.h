// Constrained decoding: what the next token of an answer may be. Holds under speculation, because every
// verified row is ruled in turn.
#pragma once
#include <kakeya/token.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kakeya {

// The state of one generation: which tokens may follow what was emitted so far.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // Sets the bit of every token that may come next and clears all others, [ceil(vocab / 64)]. Stop ids are
  // allowed where the text may end; at least one bit is set.
  virtual void allowed(std::span<std::uint64_t> bits) = 0;
  // `id` was emitted; it was allowed.
  virtual void accept(Token id) = 0;
};

enum class ConstraintKind {
  kJsonObject,  // any JSON object
  kJsonSchema,  // `text` is a JSON Schema
  kGrammar,     // `text` is a grammar in GBNF notation (llama.cpp's), start symbol "root"
  kToolCalls,   // one or more calls of `tools_json` in a model's form, arguments by each tool's schema
};

// How models write calls of tools.
enum class ToolFormat {
  kQwen3,       // <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>: Hermes, Qwen3
  kQwen3Coder,  // <tool_call>\n<function=f>\n<parameter=a>\n...\n</parameter>\n</function>\n</tool_call>
  kLlama3,      // {"name": "f", "parameters": {...}}, several joined by "; ", and nothing else: Llama-3.1
};

struct ConstraintSpec {
  ConstraintKind kind = ConstraintKind::kJsonObject;
  std::string text;
  std::vector<std::string> tools_json;  // kToolCalls: {"type":"function","function":{name,parameters}}
  bool parallel = true;                 // kToolCalls: more than one call may follow
  // Text that is free until the constraint takes hold: everything up to and including this marker, when it is
  // not empty. With `optional` the marker need not come, and the text may end without it (tool_choice auto:
  // free text, and the constraint from "<tool_call>" on). After "</think>" the constraint holds at once.
  std::string after;
  bool optional = false;
  ToolFormat tool_format = ToolFormat::kQwen3;  // kToolCalls
};

}  // namespace kakeya
