// Bodies for Ollama's, Anthropic's and OpenAI's Responses API: read or refused, never more.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "serve/anthropic/request.h"
#include "serve/json.h"
#include "serve/ollama/request.h"
#include "serve/responses/request.h"

namespace {

using namespace kakeya::serve;

void check(const kakeya::dialog::DialogRequest& request) {
  FUZZ_CHECK(!request.max_tokens || *request.max_tokens >= 0);
  if (request.format && request.format->kind == kakeya::ConstraintKind::kJsonSchema) {
    FUZZ_CHECK(Json::accept(request.format->text));
  }
  const auto* chat = std::get_if<kakeya::ChatRequest>(&request.input);
  if (chat == nullptr) return;
  for (const std::string& tool : chat->tools_json) {
    FUZZ_CHECK(!Json::parse(tool)["function"]["name"].get<std::string>().empty());
  }
  for (const kakeya::ChatMessage& message : chat->messages) {
    for (const kakeya::ToolCall& call : message.tool_calls) FUZZ_CHECK(!call.name.empty());
  }
}

template <class Call>
void check(const std::variant<Call, http::ApiError>& read) {
  if (const auto* error = std::get_if<http::ApiError>(&read)) {
    FUZZ_CHECK(error->status >= 400 && error->status < 500 && !error->message.empty());
    FUZZ_CHECK(Json::accept(http::openai_error(*error).body));
    return;
  }
  const Call& call = std::get<Call>(read);
  FUZZ_CHECK(!call.model.empty());
  check(call.request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body = as_text(data, size);
  check(ollama::read_chat(body));
  check(ollama::read_generate(body));
  check(anthropic::read_messages(body, false));
  check(anthropic::read_messages(body, true));
  const auto response = responses::read_request(body);
  check(response);
  if (const auto* call = std::get_if<responses::Call>(&response)) FUZZ_CHECK(Json::accept(dump(call->echo)));
  return 0;
}
