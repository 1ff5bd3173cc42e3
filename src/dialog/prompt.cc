#include "dialog/prompt.h"

#include <algorithm>
#include <array>
#include <memory>

namespace kakeya::dialog {
namespace {

// The Qwen3 template passes over other roles, and a message must not vanish.
Status check_roles(const std::vector<ChatMessage>& messages) {
  constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (std::find(kRoles.begin(), kRoles.end(), messages[i].role) == kRoles.end()) {
      return invalid_argument("messages[" + std::to_string(i) + "].role: found \"" + messages[i].role +
                              "\", expected system, user, assistant or tool");
    }
  }
  return {};
}

// The template closes every turn; a turn to be continued loses its end.
Status cut_end_of_turn(const Engine& engine, std::vector<Token>& ids) {
  const char* name = engine.template_family().starts_with("llama3") ? "<|eot_id|>" : "<|im_end|>";
  KAKEYA_ASSIGN(const std::vector<Token> end,
                engine.encode(name, true));  // a first-token may stand before it
  const auto at = end.empty() ? ids.rend() : std::find(ids.rbegin(), ids.rend(), end.back());
  if (at == ids.rend()) {
    return unsupported(std::string("continue the last message: the prompt has no ") + name +
                       ", expected one at the end of every turn");
  }
  ids.erase(at.base() - 1, ids.end());
  return {};
}

// Whether the prompt itself ends inside a reasoning block.
bool opens_reasoning(const Engine& engine, const std::vector<Token>& ids) {
  const std::size_t tail = std::min<std::size_t>(ids.size(), 16);
  std::string text = engine.decode(std::span(ids).last(tail), false);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text.ends_with("<think>");
}

}  // namespace

std::optional<ToolFormat> tool_format_of(const Engine& engine) {
  const std::string family = engine.template_family();
  if (family == "qwen3-coder") return ToolFormat::kQwen3Coder;
  if (family.starts_with("qwen3")) return ToolFormat::kQwen3;
  if (family == "llama3.1") return ToolFormat::kLlama3;
  return std::nullopt;
}

Result<Prompt> build_prompt(const Engine& engine, const DialogRequest& request) {
  Prompt prompt;
  const std::string family = engine.template_family();
  const bool qwen3 = family == "qwen3";
  bool may_open =
      qwen3 || family == "qwen3-thinking";  // of a raw prompt nothing is known: the output says it
  if (const auto* ids = std::get_if<std::vector<Token>>(&request.input)) {
    prompt.ids = *ids;
  } else {
    ChatRequest chat = std::get<ChatRequest>(request.input);
    KAKEYA_TRY(check_roles(chat.messages));
    if (request.tool_choice == ToolChoice::kNone) chat.tools_json.clear();
    // The published DFlash drafts are trained on text without thinking: unless asked for, it would cost most
    // of their speed.
    if (qwen3) chat.enable_thinking = chat.enable_thinking.value_or(false) && !request.reasoning_limit_zero;
    const bool continued = !chat.messages.empty() && chat.messages.back().role == "assistant" &&
                           chat.messages.back().tool_calls.empty();
    if (continued) chat.add_generation_prompt = false;
    KAKEYA_ASSIGN(prompt.ids, engine.encode_chat(chat));
    if (continued) KAKEYA_TRY(cut_end_of_turn(engine, prompt.ids));
    // The template closes the reasoning of a turn before its content.
    may_open = prompt.thinking = qwen3 && *chat.enable_thinking && !continued;
    if (const auto form = tool_format_of(engine); form && !chat.tools_json.empty()) {
      prompt.format.tool_calls = true;
      prompt.format.tool_format = *form;
      prompt.format.tools = std::make_shared<const ToolSchemas>(chat.tools_json);
    }
  }
  const bool open = opens_reasoning(engine, prompt.ids);
  prompt.thinking = prompt.thinking || open;
  if (!request.parse_output) {
    prompt.format = {};
  } else if (open || may_open) {
    prompt.format.reasoning = open ? Reasoning::kOpen : Reasoning::kMayOpen;
  }
  return prompt;
}

}  // namespace kakeya::dialog
