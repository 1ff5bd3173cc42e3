// The body of POST /v1/chat/completions.
#pragma once
#include <optional>
#include <set>
#include <string>

#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"
#include "serve/openai/generation_fields.h"

namespace kakeya::serve::openai {

struct ChatCall {
  dialog::DialogRequest dialog;
  int n = 1;
  StreamOptions stream;
  std::set<std::string> custom_tools;  // answered as type "custom"
};

std::optional<http::ApiError> read_chat(const Json& body, const Context& context, ChatCall& out);
// Thinking on or off: chat_template_kwargs.enable_thinking, enable_thinking, reasoning_effort, reasoning,
// reasoning_budget.
void read_thinking(Fields& fields, ChatRequest& chat, dialog::DialogRequest& out);

}  // namespace kakeya::serve::openai
