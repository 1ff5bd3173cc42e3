// Sockets: clients that are slow, old or gone.
#include "serve/http/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "serve/server_test_support.h"

namespace kakeya::serve::http {
namespace {

using std::chrono::milliseconds;
using test::RawClient;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// Streams "tick" three times at /ticks, and as much as is taken at /endless.
class Ticker : public Application {
 public:
  std::optional<Response> before_body(Request&) override { return {}; }
  Response handle(Request& request) override {
    Response response;
    response.body = request.method + " " + request.path + " " + request.body;
    if (request.path == "/ticks") {
      response.stream = [](Writer& writer) {
        for (int i = 0; i < 3; ++i) writer.write("tick");
      };
    }
    if (request.path == "/endless") {
      response.stream = [this](Writer& writer) {
        const std::string block(1 << 16, 'x');
        while (writer.write(block)) taken += block.size();
        ended = true;
      };
    }
    return response;
  }
  Response broken(const Request&, int status, const std::string& why) override {
    Response response;
    response.status = status;
    response.body = why;
    return response;
  }
  void finish(const Request&, Response&) override {}

  std::atomic<std::size_t> taken{0};
  std::atomic<bool> ended{false};
};

class Listening : public testing::Test {
 protected:
  void SetUp() override {
    options_.read_timeout = milliseconds(400);
    options_.write_timeout = milliseconds(400);
    auto listener = Listener::open(options_, ticker_);
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    listener_ = std::move(*listener);
  }
  std::string ask(const std::string& request) {
    RawClient client(listener_->port());
    client.send(request);
    return client.read_until("");
  }
  ListenOptions options_;
  Ticker ticker_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(Listening, EndsAStreamThatNobodyReads) {
  RawClient client(listener_->port());
  client.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (int i = 0; i < 300 && !ticker_.ended; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_TRUE(ticker_.ended);
  EXPECT_GT(ticker_.taken, 0u);
}

TEST_F(Listening, SendsNoChunksToClientsThatDoNotKnowThem) {
  const std::string old = ask("GET /ticks HTTP/1.0\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(old, EndsWith("\r\n\r\nticktick"
                            "tick"));
  EXPECT_THAT(old, Not(HasSubstr("chunked")));
  EXPECT_THAT(ask("GET /ticks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              HasSubstr("chunked"));
}

TEST_F(Listening, AnswersRequestsThatWereSentTogetherInTheirOrder) {
  const std::string both =
      ask("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\none"
          "GET /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_LT(both.find("POST /a one"), both.find("GET /b "));
  EXPECT_NE(both.find("GET /b "), std::string::npos);
}

TEST_F(Listening, GivesUpOnARequestThatDoesNotEnd) {
  const auto start = std::chrono::steady_clock::now();
  ask("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\nhalf");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
}

TEST_F(Listening, OutlivesHeadersWithoutEnd) {
  std::string request = "GET /a HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 40; ++i) request += "X-" + std::to_string(i) + ": " + std::string(4000, 'h') + "\r\n";
  request += "\r\n";
  RawClient client(listener_->port());
  client.send(request);
  client.close();
  EXPECT_THAT(ask("GET /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), HasSubstr("GET /b"))
      << "lives";
}

TEST_F(Listening, StopsWhileAClientKeepsItsConnectionOpen) {
  RawClient client(listener_->port());
  client.send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.read_response(), HasSubstr("GET /a"));
  const auto start = std::chrono::steady_clock::now();
  listener_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(3000));
}

}  // namespace
}  // namespace kakeya::serve::http
