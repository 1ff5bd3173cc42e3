// One rendering function per template family; chat_template.cc chooses. Requests have at least one message.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/result.h>

#include <string_view>

#include "text/prompt_text.h"

namespace kakeya::text {

// What the templates of the Qwen3 family do with reasoning.
enum class Qwen3Thinking {
  kSwitch,  // Qwen3: enable_thinking chooses
  kAlways,  // Qwen3-Thinking-2507: the prompt of an answer opens <think>
  kNever,   // no word of it; what an assistant wrote stays as it is
};
// Qwen3's own template: thinking, tools, tool calls and responses.
Result<PromptText> render_qwen3(const ChatRequest& request, Qwen3Thinking thinking);
// Qwen3-Coder: tools as XML.
Result<PromptText> render_qwen3_coder(const ChatRequest& request);
// Plain ChatML frames: any role, no tools.
Result<PromptText> render_chatml(const ChatRequest& request);
// Llama-3.1 and Llama-3.2 Instruct. `tools`: of the family llama3.1; else they are refused.
Result<PromptText> render_llama3(const ChatRequest& request, bool tools);

// Python's str.strip(), which Jinja's trim filter calls: White_Space and the separators U+001C to U+001F.
std::string_view trim(std::string_view text);
// What a family cannot say must not vanish from the prompt.
Status refuse_tools(const char* family, const ChatRequest& request);

}  // namespace kakeya::text
