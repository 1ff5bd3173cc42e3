#include "text/chat_template.h"

#include <array>

#include "base/sha256.h"
#include "text/chat_families.h"
#include "text/utf8.h"

namespace kakeya::text {
namespace {

// What a family cannot say must not vanish from the prompt.
Status refuse_tools(const char* family, const ChatRequest& request) {
  if (!request.tools_json.empty()) {
    return invalid_argument(std::string("render chat: tools are not supported by the ") + family +
                            " template");
  }
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const ChatMessage& message = request.messages[i];
    if (!message.tool_calls.empty() || message.role == "tool" || message.role == "ipython") {
      return invalid_argument("render chat: messages[" + std::to_string(i) +
                              "]: tool calls and responses are not supported by the " + family + " template");
    }
  }
  return {};
}

// Python's str.strip(), which Jinja's trim filter calls: White_Space and the four separators U+001C to
// U+001F.
std::string_view trim(std::string_view text) {
  const auto is_space = [](const Utf8Step& step) {
    return step.valid && (is_unicode_space(step.code) || (step.code >= 0x1c && step.code <= 0x1f));
  };
  for (Utf8Step step = next_utf8(text); is_space(step); step = next_utf8(text))
    text.remove_prefix(step.length);
  while (!text.empty()) {
    const std::size_t last = last_code_point(text);
    if (!is_space(next_utf8(text.substr(last)))) break;
    text = text.substr(0, last);
  }
  return text;
}

struct Family {
  TemplateFamily family;
  const char* digest;  // SHA-256 of the published text without white space at its end; empty: none was one
  std::array<const char*, 3> tokens;
};
constexpr std::array<Family, 3> kFamilies = {{
    {TemplateFamily::kQwen3,
     "87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",
     {"<|im_start|>", "<|im_end|>", "<think>"}},
    {TemplateFamily::kChatMl, "", {"<|im_start|>", "<|im_end|>", "<|im_end|>"}},
    {TemplateFamily::kLlama3, "", {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
}};

}  // namespace

const char* to_string(TemplateFamily family) {
  switch (family) {
    case TemplateFamily::kQwen3:
      return "qwen3";
    case TemplateFamily::kChatMl:
      return "chatml";
    case TemplateFamily::kLlama3:
      return "llama3";
  }
  return "unknown";
}

Result<TemplateFamily> detect_template(const Tokenizer& tokenizer) {
  const auto has = [&](const char* token) { return tokenizer.token_id(token).has_value(); };
  if (has("<|im_start|>") && has("<|im_end|>")) {
    return has("<think>") ? TemplateFamily::kQwen3 : TemplateFamily::kChatMl;
  }
  if (has("<|start_header_id|>") && has("<|end_header_id|>") && has("<|eot_id|>"))
    return TemplateFamily::kLlama3;
  return unsupported(
      "choose chat template: the tokenizer has neither <|im_start|> (ChatML, Qwen3) nor <|start_header_id|> "
      "(Llama-3)"
      ", expected one of these families");
}

Result<TemplateFamily> choose_template(const Tokenizer& tokenizer, const std::string& name_or_text) {
  const std::string text = name_or_text.substr(0, name_or_text.find_last_not_of(" \t\r\n") + 1);
  const std::string digest = base::sha256_hex(text);
  for (const Family& known : kFamilies) {
    if (text != to_string(known.family) && digest != known.digest) continue;
    for (const char* token : known.tokens) {
      if (tokenizer.token_id(token)) continue;
      return unsupported(std::string("chat template ") + to_string(known.family) + ": the tokenizer has no " +
                         token);
    }
    return known.family;
  }
  const bool is_text = text.find_first_of("{\n") != std::string::npos;
  return unsupported((is_text ? "chat template: found a text of " + std::to_string(text.size()) +
                                    " bytes that is not rendered here"
                              : "chat template: found '" + text + "'") +
                     ", expected qwen3, chatml or llama3, or the text that Qwen3 is published with");
}

Result<PromptText> render_chatml(const ChatRequest& request) {
  KAKEYA_TRY(refuse_tools("chatml", request));
  PromptText out;
  for (const ChatMessage& message : request.messages) {
    out.own("<|im_start|>").given(message.role).own("\n").given(message.content).own("<|im_end|>\n");
  }
  if (request.add_generation_prompt) out.own("<|im_start|>assistant\n");
  return out;
}

Result<PromptText> render_llama3(const ChatRequest& request) {
  KAKEYA_TRY(refuse_tools("llama3", request));
  const bool has_system = request.messages.front().role == "system";
  PromptText out;
  // The dates are fixed in the published template of Llama-3.1.
  out.own("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n")
      .own("Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n");
  if (has_system) out.given(trim(request.messages.front().content));
  out.own("<|eot_id|>");
  for (std::size_t i = has_system ? 1 : 0; i < request.messages.size(); ++i) {
    const ChatMessage& message = request.messages[i];
    out.own("<|start_header_id|>").given(message.role).own("<|end_header_id|>\n\n");
    out.given(trim(message.content)).own("<|eot_id|>");
  }
  if (request.add_generation_prompt) out.own("<|start_header_id|>assistant<|end_header_id|>\n\n");
  return out;
}

Result<PromptText> render_prompt(TemplateFamily family, const ChatRequest& request) {
  if (request.messages.empty()) {
    return invalid_argument("render chat: \"messages\" is empty, expected at least one message");
  }
  switch (family) {
    case TemplateFamily::kQwen3:
      return render_qwen3(request);
    case TemplateFamily::kChatMl:
      return render_chatml(request);
    case TemplateFamily::kLlama3:
      return render_llama3(request);
  }
  return unsupported("render chat: unknown template family");
}

Result<std::string> render_chat(TemplateFamily family, const ChatRequest& request) {
  KAKEYA_ASSIGN(PromptText prompt, render_prompt(family, request));
  return std::move(prompt).text();
}

}  // namespace kakeya::text
