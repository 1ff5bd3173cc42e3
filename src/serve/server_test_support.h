// A server on a loopback socket in front of a scripted engine, and a client of bare sockets.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "serve/server.h"
#include "serve/test_support.h"

namespace kakeya::serve::test {

using dialog::AnswerPart;
using json = nlohmann::json;
using std::chrono::milliseconds;

// A connection that says exactly what it is told to.
class RawClient {
 public:
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    const timeval limit{10, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(); }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  bool connected() const { return connected_; }
  void send(const std::string& text) { ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Until `end` was read, or nothing more comes.
  std::string read_until(const std::string& end) {
    char bytes[4096];
    while (end.empty() || buffer_.find(end) == std::string::npos) {
      const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
      if (count <= 0) break;
      buffer_.append(bytes, static_cast<std::size_t>(count));
    }
    return std::exchange(buffer_, {});
  }
  // A response with Content-Length, the connection stays.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    const auto split = head.find("\r\n\r\n");
    if (split == std::string::npos) return head;
    const auto at = head.find("Content-Length: ");
    const std::size_t length = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    char bytes[4096];
    while (head.size() < split + 4 + length) {
      const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
      if (count <= 0) break;
      head.append(bytes, static_cast<std::size_t>(count));
    }
    return head;
  }

 private:
  int socket_;
  bool connected_ = false;
  std::string buffer_;
};

inline std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

inline int status_of(const std::string& response) {
  return response.size() < 12 ? 0 : std::stoi(response.substr(9, 3));
}
inline json body_of(const std::string& response) {
  return json::parse(response.substr(response.find("\r\n\r\n") + 4), nullptr, false);
}

// The events of a chunked stream; chunk sizes are lines of hexadecimal digits between them.
inline std::vector<std::string> events_of(const std::string& response) {
  std::vector<std::string> events;
  for (std::size_t at = response.find("data: "); at != std::string::npos;
       at = response.find("data: ", at + 1)) {
    events.push_back(response.substr(at + 6, response.find("\n\n", at) - at - 6));
  }
  return events;
}

inline const char* const kHi = R"({"model":"qwen3/tiny:test","messages":[{"role":"user","content":"hi"}]})";
inline const char* const kStream =
    R"({"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}})";

class Served : public testing::Test {
 protected:
  void SetUp() override {
    world_.script.parts = {started(), text_part(AnswerPart::Kind::kReasoning, "hm"),
                           text_part(AnswerPart::Kind::kContent, "hello"),
                           text_part(AnswerPart::Kind::kContent, " data: w\u00f6rld"),
                           finished_part(FinishReason::kStop, 9, 17)};
    world_.options.hosts = {"127.0.0.1"};
    world_.options.port = 0;
    world_.options.log_requests = false;
  }
  static AnswerPart started() {
    AnswerPart part;
    part.prompt_tokens = 9;
    part.cached_tokens = 4;
    return part;
  }
  void start() {
    auto server = Server::start(world_.engine, world_.service, world_.options, ask_of(world_.script));
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
  }
  std::string ask(const std::string& request) {
    RawClient client(server_->port());
    client.send(request);
    return client.read_response();
  }
  std::string ask_stream(const std::string& request) {
    RawClient client(server_->port());
    client.send(request);
    return client.read_until("data: [DONE]\n\n");
  }
  bool none_alive_within(milliseconds wait) {
    const auto until = std::chrono::steady_clock::now() + wait;
    while (world_.script.alive > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    return world_.script.alive == 0;
  }

  World world_;
  std::unique_ptr<Server> server_;
};

}  // namespace kakeya::serve::test
