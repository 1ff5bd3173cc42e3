#include "serve/openai/chat_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/openai/messages.h"
#include "serve/openai/tools.h"

namespace kakeya::serve::openai {
namespace {

constexpr int kMaxTopLogprobs = 20;

void read_dialog(Fields& fields, ChatRequest& chat) {
  const Json* messages = fields.find("messages");
  const Json* input = fields.find("input");
  if (messages != nullptr) return read_messages(*messages, "messages", fields, chat.messages);
  if (input == nullptr) return fields.fail("messages", "expected an array of messages.");
  // A client that asks in the Responses API's form and reads chat completions.
  if (const auto instructions = fields.text("instructions")) {
    chat.messages.push_back({"system", *instructions, {}, {}});
  }
  read_input(*input, "input", fields, chat.messages);
}

void read_logprobs(Fields& fields, dialog::DialogRequest& out) {
  const bool wanted = fields.boolean("logprobs", false);
  const auto top = fields.integer("top_logprobs", 0, kMaxTopLogprobs);
  if (top && !wanted) fields.fail("top_logprobs", "expected only together with logprobs: true.");
  if (wanted) out.logprobs = static_cast<int>(top.value_or(0));
}

bool says_off(const std::optional<std::string>& effort) {
  return effort == "none" || effort == "off" || effort == "minimal";
}

}  // namespace

void read_thinking(Fields& fields, ChatRequest& chat, dialog::DialogRequest& out) {
  const auto effort = fields.text("reasoning_effort");
  if (effort && !effort->empty()) chat.enable_thinking = !says_off(effort);
  if (const Json* object = fields.object("reasoning")) {
    Fields reasoning(*object, "reasoning.");
    const auto level = reasoning.text("effort");
    if (level) chat.enable_thinking = !says_off(level);
    if (reasoning.find("enabled") != nullptr) chat.enable_thinking = reasoning.boolean("enabled", true);
    if (reasoning.integer("max_tokens", 0) == 0) chat.enable_thinking = false;
    fields.merge(reasoning);
  }
  if (fields.find("enable_thinking") != nullptr)
    chat.enable_thinking = fields.boolean("enable_thinking", true);
  if (const Json* object = fields.object("chat_template_kwargs")) {
    Fields kwargs(*object, "chat_template_kwargs.");
    if (kwargs.find("enable_thinking") != nullptr) {
      chat.enable_thinking = kwargs.boolean("enable_thinking", true);
    }
    fields.merge(kwargs);
  }
  const auto budget = fields.integer("reasoning_budget", -1);
  if (budget && *budget > 0) {
    fields.refuse("reasoning_budget",
                  fmt::format("found {}, expected 0 (no reasoning) or -1 (no limit).", *budget));
  }
  out.reasoning_limit_zero = budget == 0;
}

std::optional<http::ApiError> read_chat(const Json& body, const Context& context, ChatCall& out) {
  if (auto error = check_model(body, context)) return error;
  Fields fields(body);
  ChatRequest chat;
  read_dialog(fields, chat);
  Tools tools = read_tools(fields);
  chat.tools_json = std::move(tools.json);
  out.custom_tools = std::move(tools.custom);
  out.dialog.tool_choice = tools.choice;
  out.dialog.tool_name = tools.chosen;
  out.dialog.parallel_tools = tools.parallel;
  read_thinking(fields, chat, out.dialog);
  read_format(fields, out.dialog);
  read_generation(fields, context, out.dialog);
  read_logprobs(fields, out.dialog);
  out.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  out.stream = read_stream_options(fields);
  if (fields.boolean("echo", false)) fields.refuse("echo", "expected false in chat completions.");
  out.dialog.input = std::move(chat);
  return fields.error();
}

}  // namespace kakeya::serve::openai
