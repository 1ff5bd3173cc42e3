// Heads of requests that must not be believed. What is right is RFC 9112.
#include "serve/http/framing.h"

#include <gtest/gtest.h>

namespace kakeya::serve::http {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

int refusal(const Entries& entries, bool old_version = false) {
  Headers headers;
  for (const auto& [name, value] : entries) headers.add(name, value);
  return framing_of(headers, old_version).refusal;
}

TEST(Framing, TakesOneHostOfAKnownForm) {
  for (const char* host :
       {"localhost", "localhost:8017", "127.0.0.1:80", "[::1]:80", "[::1]", "a-b.example", ""}) {
    EXPECT_EQ(refusal({{"Host", host}}), 0) << host;
  }
  for (const char* host :
       {"localhost:80@evil", "a@b", "a/b", "a b", "a:80:80", "[::1", "[::1]x", "a:port", "a?b"}) {
    EXPECT_EQ(refusal({{"Host", host}}), 400) << host;
  }
  EXPECT_EQ(refusal({{"Host", "a"}, {"host", "a"}}), 400);
  EXPECT_EQ(refusal({}), 400);
  EXPECT_EQ(refusal({}, true), 0);  // HTTP/1.0 knows no Host
}

TEST(Framing, KnowsNoCodingButChunked) {
  const std::pair<std::string, std::string> host = {"Host", "a"};
  EXPECT_EQ(refusal({host, {"Transfer-Encoding", "Chunked"}}), 0);
  for (const char* coding : {"gzip", "gzip, chunked", "identity", "xchunked", ""}) {
    EXPECT_EQ(refusal({host, {"Transfer-Encoding", coding}}), 501) << coding;
  }
  EXPECT_EQ(refusal({host, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}), 501);
  EXPECT_EQ(refusal({host, {"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}), 400);
  EXPECT_EQ(refusal({host, {"Content-Length", "5"}, {"Content-Length", "6"}}), 400);
  EXPECT_EQ(refusal({host, {"Content-Length", "+5"}}), 400);
  EXPECT_EQ(refusal({host, {"Content-Length", "5"}, {"Content-Length", "5"}}), 0);
}

}  // namespace
}  // namespace kakeya::serve::http
