// Chat templates rendered natively, one function per family; the family is chosen by the tokenizer's
// special tokens and by what the model's own template says. An unknown family is refused by name.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/result.h>

#include <string>
#include <string_view>

#include "text/prompt_text.h"
#include "text/tokenizer.h"

namespace kakeya::text {

enum class TemplateFamily {
  kQwen3,          // thinking and tools as Qwen3's own template
  kQwen3Thinking,  // Qwen3-Thinking-2507: every answer begins inside <think>
  kQwen3Instruct,  // the same frames and tools, nothing about thinking
  kQwen3Coder,     // tools as XML
  kChatMl,         // frames alone
  kLlama3,         // frames alone
  kLlama31,        // with the tools of Llama-3.1 and 3.2
};
const char* to_string(TemplateFamily family);

// <|im_start|> and <|im_end|>: one of Qwen3's where <think> exists or the model's template shows
// Qwen3-Coder's calls, else kChatMl. <|start_header_id|>: kLlama31 where the template (or, without one,
// <|python_tag|>) speaks of tools, else kLlama3. `tool_format` ("qwen3", "qwen3-coder", "llama3"; "" or
// "auto": none) chooses among the families that the tokens allow. Errors: kUnsupported, kInvalidArgument
// (another tool_format).
Result<TemplateFamily> detect_template(const Tokenizer& tokenizer, std::string_view tool_format = {});

// A family by its name, or by the text of a published template that it renders byte for byte. Errors:
// kUnsupported (another text: templates are not interpreted here; special tokens that the tokenizer lacks).
Result<TemplateFamily> choose_template(const Tokenizer& tokenizer, const std::string& name_or_text);

// The prompt text. Errors: kInvalidArgument (roles or order the family's template refuses).
Result<std::string> render_chat(TemplateFamily family, const ChatRequest& request);
// The same text, and which of it is the request's.
Result<PromptText> render_prompt(TemplateFamily family, const ChatRequest& request);
// The same with today's date where the model's template takes it from the clock (Llama-3.2) and the request
// names none.
Result<PromptText> render_prompt(const Tokenizer& tokenizer, TemplateFamily family,
                                 const ChatRequest& request);

}  // namespace kakeya::text
