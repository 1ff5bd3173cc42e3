// Server-sent events: "data: {json}" and a blank line, whole events in one write.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "serve/http/message.h"

namespace kakeya::serve::http {

inline constexpr const char* kEventStream = "text/event-stream";

// JSON in ASCII: readers that cut a character in two, or take U+2028 for a line's end, are real. Inside it
// "data: " is written "data:\u0020", which some readers need to find the start of an event.
std::string stream_json(const nlohmann::ordered_json& value);

class EventWriter {
 public:
  explicit EventWriter(Writer& writer) : writer_(writer) {}
  // `name` empty: no event line. False when the client is gone.
  bool event(const nlohmann::ordered_json& data, std::string_view name = {});
  bool done();  // data: [DONE]
  // A comment, for clients and proxies that give up on silence. Never ": ping": one client's reader takes
  // it for the end of a batch.
  bool keepalive();
  bool gone() { return failed_ || writer_.gone(); }

 private:
  bool send(const std::string& bytes);

  Writer& writer_;
  bool failed_ = false;
};

// 200, text/event-stream, headers that keep proxies from collecting it.
Response event_stream(std::function<void(EventWriter&)> body);

}  // namespace kakeya::serve::http
