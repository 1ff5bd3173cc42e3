// Bodies of chat completions and of text completions, as a network gives them: read or refused, never more.
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "serve/http/sse.h"
#include "serve/openai/chat_request.h"
#include "serve/openai/completion_request.h"
#include "serve/test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kakeya::serve;
  static test::World world;
  Json body;
  if (const auto error = parse_body(as_text(data, size), body)) {
    FUZZ_CHECK(error->status == 400 && !error->message.empty());
    return 0;
  }
  // What is streamed reads back as the same value, in one line of ASCII.
  const std::string line = http::stream_json(body);
  FUZZ_CHECK(line.find('\n') == std::string::npos && line.find("data: ") == std::string::npos);
  openai::ChatCall chat;
  if (const auto error = openai::read_chat(body, world.context, chat)) {
    FUZZ_CHECK(error->status >= 400 && error->status < 500 && !error->message.empty());
  } else {
    FUZZ_CHECK(chat.n >= 1 && chat.n <= openai::kMaxChoices);
    for (const std::string& tool : std::get<kakeya::ChatRequest>(chat.dialog.input).tools_json) {
      FUZZ_CHECK(Json::parse(tool)["function"]["name"].is_string());
    }
  }
  openai::CompletionCall text;
  if (const auto error = openai::read_completion(body, world.context, text)) {
    FUZZ_CHECK(error->status >= 400 && error->status < 500 && !error->message.empty());
  } else {
    FUZZ_CHECK(text.dialogs.size() == text.echoes.size() && !text.dialogs.empty());
  }
  return 0;
}
