// A chat request as JSON, rendered by every family.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "text/chat_json.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kakeya;
  const std::string_view text = as_text(data, size);
  // What Python would print reads back as the same value.
  if (const auto value = text::parse_chat_json("fuzz", text); value.ok()) {
    const std::string once = text::python_dumps(*value);
    const auto again = text::parse_chat_json("fuzz", once);
    FUZZ_CHECK(again.ok() && text::python_dumps(*again) == once);
  }
  const auto request = parse_chat_request(text);
  if (!request.ok()) {
    FUZZ_CHECK(request.error().code == ErrorCode::kInvalidArgument);
    return 0;
  }
  for (const auto family :
       {text::TemplateFamily::kQwen3, text::TemplateFamily::kChatMl, text::TemplateFamily::kLlama3}) {
    const auto prompt = text::render_chat(family, *request);
    FUZZ_CHECK(prompt.ok() || prompt.error().code == ErrorCode::kInvalidArgument);
  }
  return 0;
}
