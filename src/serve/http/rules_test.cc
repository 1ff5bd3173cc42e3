// Paths, routes, keys, origins and events, without sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serve/http/access.h"
#include "serve/http/router.h"
#include "serve/http/sse.h"

namespace kakeya::serve::http {
namespace {

Answer named(const char* name) {
  Response response;
  response.body = name;
  return response;
}

Router two_routes() {
  Router router;
  router.add({"GET", "/v1/models", [](const Request&) { return named("list"); }});
  router.add({"GET", "/v1/models/*", [](const Request&) { return named("one"); }});
  router.add({"POST", "/v1/chat/completions", [](const Request&) { return named("chat"); }});
  return router;
}

std::string found(const Router& router, const char* method, const char* target, std::string* rest = nullptr) {
  Request request;
  request.method = method;
  request.path = clean_path(target);
  const Route* route = router.find(request);
  if (rest != nullptr) *rest = request.rest;
  return route == nullptr ? "none" : std::get<Response>(route->handler(request)).body;
}

TEST(Router, FindsRoutesWithAndWithoutTheVersionAndWithDoubledSlashes) {
  const Router router = two_routes();
  for (const char* target : {"/v1/models", "/models", "/v1//models", "//v1/models/", "/v1/models?limit=3"}) {
    EXPECT_EQ(found(router, "GET", target), "list") << target;
  }
  EXPECT_EQ(found(router, "POST", "/chat/completions"), "chat");
  EXPECT_EQ(found(router, "GET", "/v2/models"), "none");
  EXPECT_EQ(found(router, "HEAD", "/v1/models"), "list");
}

TEST(Router, GivesAnEncodedModelIdBackWithItsSlashAndColon) {
  std::string rest;
  EXPECT_EQ(found(two_routes(), "GET", "/v1/models/Qwen%2FQwen3%3A8b", &rest), "one");
  EXPECT_EQ(rest, "Qwen/Qwen3:8b");
  EXPECT_EQ(found(two_routes(), "GET", "/models/a%zz", &rest), "one");
  EXPECT_EQ(rest, "a%zz") << "a bad escape stays";
}

TEST(Router, KnowsTheMethodsOfAPath) {
  EXPECT_EQ(two_routes().allowed("/v1/chat/completions"), "POST");
  EXPECT_EQ(two_routes().allowed("/nothing"), "");
}

TEST(Access, TakesAKeyInThreeHeadersAndNoOther) {
  const Access access({{"sk-right", "sk-second"}, {}, {}, true});
  const auto check = [&](const char* name, const char* value) {
    Request request;
    request.headers.add(name, value);
    return access.check_key(request);
  };
  EXPECT_FALSE(check("Authorization", "Bearer sk-right"));
  EXPECT_FALSE(check("authorization", "bearer  sk-second "));
  EXPECT_FALSE(check("X-Api-Key", "sk-right"));
  EXPECT_FALSE(check("api-key", "sk-right"));
  for (const char* wrong : {"Bearer sk-righ", "Bearer sk-rightt", "sk-right", "Bearer ", "Basic sk-right"}) {
    const auto error = check("Authorization", wrong);
    ASSERT_TRUE(error) << wrong;
    EXPECT_EQ(error->status, 401);
    EXPECT_EQ(error->code, "invalid_api_key");
  }
}

TEST(Access, AnyKeyWillDoWhenNoneIsSet) {
  Request request;
  request.headers.add("authorization", "Bearer whatever");
  EXPECT_FALSE(Access(AccessOptions{}).check_key(request));
}

TEST(Access, RefusesNamesOfTheWebOnLoopbackWithoutAKey) {
  const auto check = [](const Access& access, const char* host) {
    Request request;
    request.headers.add("Host", host);
    return access.check_host(request).has_value();
  };
  const Access open{AccessOptions{}};
  for (const char* host :
       {"localhost", "localhost:8017", "127.0.0.1:8017", "[::1]:8017", "kakeya.localhost"}) {
    EXPECT_FALSE(check(open, host)) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example:8017", "127.0.0.1.evil.example"}) {
    EXPECT_TRUE(check(open, host)) << host;
  }
  EXPECT_FALSE(check(Access({{}, {"my.tunnel.example"}, {}, true}), "my.tunnel.example"));
  EXPECT_FALSE(check(Access({{"key"}, {}, {}, true}), "my.tunnel.example")) << "a page does not know the key";
}

TEST(Access, LetsLocalPagesAndAppsAskButNotPagesOfTheWeb) {
  const Access access{AccessOptions{}};
  for (const char* origin :
       {"app://obsidian.md", "capacitor://localhost", "http://localhost:3000", "tauri://localhost",
        "http://tauri.localhost", "http://127.0.0.1:8080", "http://[::1]:1"}) {
    EXPECT_TRUE(access.allows_origin(origin)) << origin;
  }
  for (const char* origin : {"https://evil.example", "null", "http://localhost.evil.example", ""}) {
    EXPECT_FALSE(access.allows_origin(origin)) << origin;
  }
  EXPECT_TRUE(Access({{}, {}, {"*"}, true}).allows_origin("https://web.example"));
}

TEST(Access, AnswersAPreflightWithTheHeadersThatItAsksFor) {
  Request request;
  request.method = "OPTIONS";
  request.headers.add("Origin", "app://obsidian.md");
  request.headers.add("Access-Control-Request-Headers", "authorization,x-stainless-os,http-referer");
  request.headers.add("Access-Control-Request-Private-Network", "true");
  const Access access({{"key"}, {}, {}, true});
  Response response = access.preflight(request);
  access.add_cors(request, response);
  EXPECT_EQ(response.status, 200);
  const auto has = [&](const char* name, const char* value) {
    return std::find(response.headers.begin(), response.headers.end(),
                     std::pair<std::string, std::string>(name, value)) != response.headers.end();
  };
  EXPECT_TRUE(has("Access-Control-Allow-Origin", "app://obsidian.md"));
  EXPECT_TRUE(has("Access-Control-Allow-Headers", "authorization,x-stainless-os,http-referer"));
  EXPECT_TRUE(has("Access-Control-Allow-Private-Network", "true"));
}

TEST(StreamJson, IsAsciiAndHidesTheStartOfAnEvent) {
  const nlohmann::ordered_json value = {{"text", "a data: b data: c \u00e4\u2028 \xF0\x9F\x98\x80 \xff"}};
  const std::string text = stream_json(value);
  EXPECT_EQ(text.find("data: "), std::string::npos);
  EXPECT_THAT(text, testing::HasSubstr("data:\\u0020b data:\\u0020c"));
  for (const char c : text) EXPECT_TRUE(c >= ' ' && c < 127);
  EXPECT_EQ(nlohmann::ordered_json::parse(text)["text"].get<std::string>().substr(0, 8), "a data: ");
}

TEST(OpenAiError, HasAllFourKeysAndSaysWhetherToRetry) {
  ApiError error;
  error.status = 429;
  error.message = "full";
  error.retry = true;
  error.retry_after_s = 2;
  const Response response = openai_error(error);
  const auto body = nlohmann::json::parse(response.body)["error"];
  EXPECT_EQ(body["message"], "full");
  EXPECT_TRUE(body["param"].is_null());
  EXPECT_TRUE(body["code"].is_null());
  EXPECT_EQ(body["type"], "invalid_request_error");
  EXPECT_THAT(response.headers, testing::Contains(testing::Pair("retry-after", "2")));
  EXPECT_THAT(response.headers, testing::Contains(testing::Pair("x-should-retry", "true")));
}

}  // namespace
}  // namespace kakeya::serve::http
