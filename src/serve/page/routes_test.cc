#include "serve/page/routes.h"

#include <gtest/gtest.h>

#include "serve/page/chat_page.h"

namespace kakeya::serve::page {
namespace {

http::Response get_root(const std::string& accept) {
  http::Router router;
  add_routes(router);
  http::Request request;
  request.method = "GET";
  request.path = "/";
  request.headers.add("Accept", accept);
  return std::get<http::Response>(router.find(request)->handler(request));
}

std::string header(const http::Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(RootRoute, GivesBrowsersThePageUnderItsPolicy) {
  const http::Response response = get_root("text/html,application/xhtml+xml,*/*;q=0.8");
  EXPECT_EQ(response.body, chat_page());
  EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(header(response, "Content-Security-Policy"), chat_page_policy());
}

TEST(RootRoute, GreetsOtherClientsAsOllamaDoes) {
  const http::Response response = get_root("*/*");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "Ollama is running");
  EXPECT_EQ(response.content_type, "text/plain; charset=utf-8");
}

}  // namespace
}  // namespace kakeya::serve::page
