#include "text/chat_template.h"

#include <array>
#include <ctime>

#include "base/sha256.h"
#include "text/chat_families.h"
#include "text/utf8.h"

namespace kakeya::text {

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

namespace {

bool says(const Tokenizer& tokenizer, std::string_view words) {
  return tokenizer.file().chat_template.find(words) != std::string::npos;
}

// The Jinja literal of a generation prompt that opens the reasoning, as files spell its line ends.
bool opens_reasoning(const Tokenizer& tokenizer) {
  return says(tokenizer, "<|im_start|>assistant\\n<think>\\n'") ||
         says(tokenizer, "<|im_start|>assistant\n<think>\n'");
}

TemplateFamily chatml_family(const Tokenizer& tokenizer, std::string_view tool_format) {
  const bool asked = tool_format == "qwen3";
  if (tool_format == "qwen3-coder") return TemplateFamily::kQwen3Coder;
  if (!asked && says(tokenizer, "<function=") && says(tokenizer, "<parameter=")) {
    return TemplateFamily::kQwen3Coder;
  }
  if (!tokenizer.token_id("<think>")) {
    return asked ? TemplateFamily::kQwen3Instruct : TemplateFamily::kChatMl;
  }
  if (!says(tokenizer, "enable_thinking") && opens_reasoning(tokenizer)) {
    return TemplateFamily::kQwen3Thinking;
  }
  const bool tools = says(tokenizer, "<tool_call>") && says(tokenizer, "<tool_response>");
  return tools && !says(tokenizer, "think") ? TemplateFamily::kQwen3Instruct : TemplateFamily::kQwen3;
}

// As Python's strftime("%d %b %Y") in the C locale, local time.
std::string today() {
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) return {};
  const std::string day = std::to_string(local.tm_mday);
  return (day.size() < 2 ? "0" : "") + day + " " + kMonths[static_cast<std::size_t>(local.tm_mon) % 12] +
         " " + std::to_string(local.tm_year + 1900);
}

struct Family {
  TemplateFamily family;
  const char* digest;  // SHA-256 of the published text without white space at its end; empty: none was one
  std::array<const char*, 3> tokens;
};
constexpr std::array<const char*, 3> kChatMlTokens = {"<|im_start|>", "<|im_end|>", "<|im_end|>"},
                                     kThinkTokens = {"<|im_start|>", "<|im_end|>", "<think>"},
                                     kLlamaTokens = {"<|start_header_id|>", "<|end_header_id|>",
                                                     "<|eot_id|>"};
constexpr std::array<Family, 7> kFamilies = {{
    {TemplateFamily::kQwen3, "87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",
     kThinkTokens},
    {TemplateFamily::kQwen3Thinking, "", kThinkTokens},
    {TemplateFamily::kQwen3Instruct, "", kChatMlTokens},
    {TemplateFamily::kQwen3Coder, "", kChatMlTokens},
    {TemplateFamily::kChatMl, "", kChatMlTokens},
    {TemplateFamily::kLlama3, "", kLlamaTokens},
    {TemplateFamily::kLlama31, "", kLlamaTokens},
}};

}  // namespace

const char* to_string(TemplateFamily family) {
  switch (family) {
    case TemplateFamily::kQwen3:
      return "qwen3";
    case TemplateFamily::kQwen3Thinking:
      return "qwen3-thinking";
    case TemplateFamily::kQwen3Instruct:
      return "qwen3-instruct";
    case TemplateFamily::kQwen3Coder:
      return "qwen3-coder";
    case TemplateFamily::kChatMl:
      return "chatml";
    case TemplateFamily::kLlama3:
      return "llama3";
    case TemplateFamily::kLlama31:
      return "llama3.1";
  }
  return "unknown";
}

Result<TemplateFamily> detect_template(const Tokenizer& tokenizer, std::string_view tool_format) {
  const auto has = [&](const char* token) { return tokenizer.token_id(token).has_value(); };
  if (tool_format == "auto") tool_format = {};
  const bool of_qwen = tool_format == "qwen3" || tool_format == "qwen3-coder";
  if (!tool_format.empty() && !of_qwen && tool_format != "llama3") {
    return invalid_argument("tool format: found \"" + std::string(tool_format) +
                            "\", expected auto, qwen3, qwen3-coder or llama3");
  }
  const bool chatml = has("<|im_start|>") && has("<|im_end|>");
  const bool llama = has("<|start_header_id|>") && has("<|end_header_id|>") && has("<|eot_id|>");
  if (!chatml && !llama) {
    return unsupported(
        "choose chat template: the tokenizer has neither <|im_start|> (ChatML, Qwen3) nor "
        "<|start_header_id|> (Llama-3), expected one of these families");
  }
  if (chatml ? tool_format == "llama3" : of_qwen) {
    return unsupported("tool format: found \"" + std::string(tool_format) + "\", expected auto" +
                       (chatml ? ", qwen3 or qwen3-coder" : " or llama3") +
                       ": the tokenizer has the special tokens of " + (chatml ? "ChatML" : "Llama-3"));
  }
  if (chatml) return chatml_family(tokenizer, tool_format);
  const bool in_template = says(tokenizer, "\"parameters\": ") && says(tokenizer, "ipython");
  const bool in_tokens = tokenizer.file().chat_template.empty() && has("<|python_tag|>");
  return tool_format == "llama3" || in_template || in_tokens ? TemplateFamily::kLlama31
                                                             : TemplateFamily::kLlama3;
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
                     ", expected qwen3, qwen3-thinking, qwen3-instruct, qwen3-coder, chatml, llama3 or "
                     "llama3.1, or the text "
                     "that Qwen3 is published with");
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

Result<PromptText> render_prompt(TemplateFamily family, const ChatRequest& request) {
  if (request.messages.empty()) {
    return invalid_argument("render chat: \"messages\" is empty, expected at least one message");
  }
  switch (family) {
    case TemplateFamily::kQwen3:
      return render_qwen3(request, Qwen3Thinking::kSwitch);
    case TemplateFamily::kQwen3Thinking:
      return render_qwen3(request, Qwen3Thinking::kAlways);
    case TemplateFamily::kQwen3Instruct:
      return render_qwen3(request, Qwen3Thinking::kNever);
    case TemplateFamily::kQwen3Coder:
      return render_qwen3_coder(request);
    case TemplateFamily::kChatMl:
      return render_chatml(request);
    case TemplateFamily::kLlama3:
      return render_llama3(request, false);
    case TemplateFamily::kLlama31:
      return render_llama3(request, true);
  }
  return unsupported("render chat: unknown template family");
}

Result<PromptText> render_prompt(const Tokenizer& tokenizer, TemplateFamily family,
                                 const ChatRequest& request) {
  if (!request.date_string.empty() || !says(tokenizer, "strftime_now")) return render_prompt(family, request);
  ChatRequest dated = request;
  dated.date_string = today();
  return render_prompt(family, dated);
}

Result<std::string> render_chat(TemplateFamily family, const ChatRequest& request) {
  KAKEYA_ASSIGN(PromptText prompt, render_prompt(family, request));
  return std::move(prompt).text();
}

}  // namespace kakeya::text
