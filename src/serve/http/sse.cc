#include "serve/http/sse.h"

#include <nlohmann/json.hpp>

namespace kakeya::serve::http {

std::string stream_json(const nlohmann::ordered_json& value) {
  const std::string text = value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  std::size_t from = 0;
  for (std::size_t at = text.find("data: "); at != std::string::npos; at = text.find("data: ", from)) {
    safe.append(text, from, at + 5 - from).append("\\u0020");
    from = at + 6;
  }
  return safe.append(text, from);
}

bool EventWriter::send(const std::string& bytes) {
  if (!failed_ && !writer_.write(bytes)) failed_ = true;
  return !failed_;
}

bool EventWriter::event(const nlohmann::ordered_json& data, std::string_view name) {
  std::string bytes;
  if (!name.empty()) bytes.append("event: ").append(name).append("\n");
  return send(bytes.append("data: ").append(stream_json(data)).append("\n\n"));
}

bool EventWriter::done() { return send("data: [DONE]\n\n"); }

bool EventWriter::keepalive() { return send(": keepalive\n\n"); }

Response event_stream(std::function<void(EventWriter&)> body) {
  Response response;
  response.content_type = kEventStream;
  response.headers = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};
  response.stream = [run = std::move(body)](Writer& writer) {
    EventWriter events(writer);
    run(events);
  };
  return response;
}

}  // namespace kakeya::serve::http
