// One rendering function per template family; chat_template.cc chooses. Requests have at least one message.
#pragma once
#include <kakeya/chat.h>
#include <kakeya/result.h>

#include "text/prompt_text.h"

namespace kakeya::text {

// Qwen3's own template: thinking, tools, tool calls and responses.
Result<PromptText> render_qwen3(const ChatRequest& request);
// Plain ChatML frames: any role, no tools.
Result<PromptText> render_chatml(const ChatRequest& request);
// Llama-3.1 Instruct with system, user and assistant turns, no tools.
Result<PromptText> render_llama3(const ChatRequest& request);

}  // namespace kakeya::text
