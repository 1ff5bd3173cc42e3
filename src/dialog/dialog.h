// One question and its answer, above tokens and below any wire format: messages in, parts of an answer out
// (reasoning, content, tool calls). The OpenAI, Ollama and Anthropic routes and the chat command all speak
// through it. Knows no HTTP and no JSON but that of tools and schemas.
#pragma once
#include <kakeya/constraint.h>
#include <kakeya/engine.h>
#include <kakeya/service.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kakeya::dialog {

enum class ToolChoice { kAuto, kNone, kRequired, kNamed };

struct Sampling {  // not set = the model's own default (Engine::sampling_defaults), else greedy (temperature
                   // 0)
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
  std::optional<std::uint64_t> seed;  // not set: drawn where the temperature is above 0, and reported
};

struct DialogRequest {
  // Messages (roles system, user, assistant, tool; a last assistant message without calls is continued), or a
  // raw prompt. Not set, enable_thinking means false for the family "qwen3": drafts are trained without.
  // Other families do as their templates say.
  std::variant<ChatRequest, std::vector<Token>> input;
  ToolChoice tool_choice = ToolChoice::kAuto;  // of the ChatRequest's tools
  std::string tool_name;                       // kNamed
  bool parallel_tools = true;
  // response_format, grammar; takes hold after the reasoning. With tools to choose from (kAuto) the answer is
  // calls at once or text in this format; where a call must come it never applies.
  std::optional<ConstraintSpec> format;
  std::string format_name;  // where the caller had it from ("response_format"), for errors
  Sampling sampling;
  TokenRules rules;                         // constraint is set by ask()
  int logprobs = -1, prompt_logprobs = -1;  // as GenerateOptions; the latter only without parse_output
  std::optional<int> max_tokens;            // not set, or more than fits: what fits; 0 = the prompt alone
  std::vector<std::string> stop_strings;    // with tools: of the content alone, else of all that is written
  std::vector<Token> stop_ids;
  bool ignore_stop = false;
  std::optional<Speculation> speculation;  // not set: auto
  std::size_t block_size = 0, verify_width = 0;
  bool parse_output = true;           // false: all text is content, with all its tokens (raw completions)
  bool reasoning_limit_zero = false;  // reasoning_budget 0: as enable_thinking false
  std::string kv, draft_kv, client;
  std::uint64_t group = 0;  // as ServiceRequest
  bool reuse_prefix = true;
  std::optional<int> slot;
};

// Sent with kFinished.
struct Summary {
  Completion completion;
  bool tool_calls = false;           // at least one whole call was made
  std::size_t reasoning_tokens = 0;  // tags included
  std::uint64_t seed = 0;            // in effect
  // Keywords of the tools' schemas that calls were not held to, as "NAME#/properties/a/multipleOf": the
  // tool's name and the place in its parameters; "NAME#" is all of them.
  std::vector<std::string> loosened;
};

struct AnswerPart {
  enum class Kind {
    kStarted,        // slot, prompt_tokens, cached_tokens
    kProgress,       // done
    kReasoning,      // text
    kContent,        // text
    kToolCall,       // a call: call_index, call_id, tool_name
    kToolArguments,  // text: more of the JSON arguments of call_index; they are cut where the answer was cut
    kFinished,       // summary; last
    kFailed,         // error; last
  };
  Kind kind = Kind::kStarted;
  std::string text;
  std::size_t call_index = 0;
  std::string call_id, tool_name;
  int slot = 0;
  std::size_t prompt_tokens = 0, cached_tokens = 0, done = 0;
  // Of the tokens of which this part shows a byte; each token is in one part at most. Those of tags and of
  // dropped white space are in none: joined over all content they spell the content.
  std::vector<TokenLogprob> logprobs;
  std::vector<Token> ids;                     // the same tokens
  std::vector<TokenLogprob> prompt_logprobs;  // in the first kContent, when asked for
  std::vector<std::uint8_t> drafted;          // of ids: 1 = came from the draft
  double elapsed_ms = 0;
  std::optional<Summary> summary;
  Error error{ErrorCode::kCancelled, ""};
};

// Pulled by its owner; destroying it cancels the request.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual std::optional<AnswerPart> next(std::chrono::milliseconds wait) = 0;
  virtual void cancel() = 0;
};

// Renders, checks, constrains and submits. The engine outlives the reply. A tool's schema that cannot be kept
// is refused when the tool is "strict", else what cannot be kept of it is dropped (Summary::loosened).
// Errors: kContextOverflow ("This model's maximum context length is N tokens. However, ..."),
// kInvalidArgument (tool_name not among the tools, roles, ...), those of Engine::new_constraint and
// Service::submit.
Result<std::unique_ptr<Reply>> ask(const Engine& engine, Service& service, DialogRequest request);

}  // namespace kakeya::dialog
