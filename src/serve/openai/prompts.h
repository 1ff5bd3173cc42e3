// Prompts of routes without messages: texts, token ids, both in one array, several at once; fill in the
// middle.
#pragma once
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

struct PromptRules {
  std::size_t at_most = 1;    // prompts of one request
  bool parse_special = true;  // special tokens in texts are recognised
  // Also llama-server's forms: texts and ids in one array, {"prompt_string": TEXT}, {"content": [text
  // parts]}.
  bool mixed = false;
};

// Prompts as tokens: a text, token ids, or an array of either.
std::vector<std::vector<Token>> read_prompts(Fields& fields, const char* name, const Context& context,
                                             const PromptRules& rules);

// What is to be filled between prefix and suffix, and text that already stands there.
struct FimText {
  std::string prefix, suffix, middle;
  std::vector<std::pair<std::string, std::string>> files;  // name, text; of the same repository
};

// The tokens in the order prefix, suffix, middle. With files, the repository form of Qwen2.5-Coder (arXiv
// 2409.12186) where the model has its tokens, else the files' text alone stands before. A model without
// fill-in-the-middle tokens is refused, by `name`.
std::vector<Token> fim_prompt(Fields& fields, const char* name, const Context& context, const FimText& text);

}  // namespace kakeya::serve::openai
