// Chat templates rendered natively, one function per family; the family is chosen by the tokenizer's
// special tokens. An unknown family is refused by name.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/result.h>

#include <string>

#include "text/prompt_text.h"
#include "text/tokenizer.h"

namespace kakeya::text {

enum class TemplateFamily { kQwen3, kChatMl, kLlama3 };
const char* to_string(TemplateFamily family);

// kQwen3: <|im_start|>, <|im_end|> and <think> exist (thinking and tools as Qwen3's own template);
// kChatMl: <|im_start|> without <think>; kLlama3: <|start_header_id|>. Errors: kUnsupported.
Result<TemplateFamily> detect_template(const Tokenizer& tokenizer);

// A family by its name, or by the text of a published template that it renders byte for byte. Errors:
// kUnsupported (another text: templates are not interpreted here; special tokens that the tokenizer lacks).
Result<TemplateFamily> choose_template(const Tokenizer& tokenizer, const std::string& name_or_text);

// The prompt text. Errors: kInvalidArgument (roles or order the family's template refuses).
Result<std::string> render_chat(TemplateFamily family, const ChatRequest& request);
// The same text, and which of it is the request's.
Result<PromptText> render_prompt(TemplateFamily family, const ChatRequest& request);

}  // namespace kakeya::text
