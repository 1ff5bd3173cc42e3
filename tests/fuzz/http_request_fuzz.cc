// Bytes that a client may send to the server's socket: every connection ends, what comes back is HTTP, and
// the server answers the next client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "fuzz.h"
#include "serve/http/listener.h"

namespace {

using namespace kakeya::serve::http;

// Looks at all that routes look at, and sends it back.
class Echo : public Application {
 public:
  std::optional<Response> before_body(Request& request) override {
    if (request.path != "/early") return {};
    return text("early", 403);
  }
  Response handle(Request& request) override {
    std::string all = request.method + request.path + request.body + std::string(request.headers.get("host"));
    for (const auto& [name, value] : request.query) all += name + value;
    if (request.path != "/stream") return text(all, 200);
    Response response;
    response.stream = [all](Writer& writer) {
      for (int i = 0; i < 3 && writer.write(all); ++i) {
      }
    };
    return response;
  }
  Response broken(const Request&, int status, const std::string& why) override {
    FUZZ_CHECK(status >= 400 && status < 600 && !why.empty());
    return text(why, status);
  }
  void finish(const Request&, Response&) override {}

 private:
  static Response text(std::string body, int status) {
    Response response;
    response.status = status;
    response.content_type = "text/plain";
    response.body = std::move(body);
    return response;
  }
};

void wait_at_most(int client, timeval time) {
  FUZZ_CHECK(::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0);
}

// What comes back until the connection ends, or until nothing came for as long as wait_at_most() says.
bool receive(int client, std::string& answer) {
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(client, buffer, sizeof(buffer), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) return true;
    if (n < 0) return false;
    answer.append(buffer, static_cast<std::size_t>(n));
  }
}

// All that comes back for `bytes`; a client that closes its half counts as gone, so that comes after
// `patience`.
std::string talk(int port, std::string_view bytes, timeval patience) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  FUZZ_CHECK(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  while (!bytes.empty()) {
    const ssize_t n = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  std::string answer;
  wait_at_most(client, patience);
  if (!receive(client, answer)) {
    ::shutdown(client, SHUT_WR);
    wait_at_most(client, {10, 0});
    FUZZ_CHECK(receive(client, answer));
  }
  ::close(client);
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Echo echo;
  static const auto listener = [] {
    ListenOptions options;
    options.max_body_bytes = 1024;
    options.read_timeout = options.idle_timeout = options.write_timeout = std::chrono::milliseconds(2000);
    auto opened = Listener::open(options, echo);
    FUZZ_CHECK(opened.ok());
    return std::move(*opened);
  }();
  const std::string answer = talk(listener->port(), as_text(data, size), {0, 2000});
  FUZZ_CHECK(answer.empty() || answer.rfind("HTTP/1.1 ", 0) == 0);
  static int turn = 0;
  if (++turn % 64 != 0) return 0;
  const std::string good =
      talk(listener->port(), "GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {5, 0});
  FUZZ_CHECK(good.rfind("HTTP/1.1 200 ", 0) == 0 && good.find("GET/ping") != std::string::npos);
  return 0;
}
