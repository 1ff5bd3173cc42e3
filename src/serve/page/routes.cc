#include "serve/page/routes.h"

#include "serve/page/chat_page.h"

namespace kakeya::serve::page {
namespace {

http::Answer root(const http::Request& request) {
  http::Response response;
  response.headers.emplace_back("Vary", "Accept");
  if (!accepts_page(request.headers.get("accept"))) {
    response.content_type = "text/plain; charset=utf-8";
    response.body = "Ollama is running";  // what clients of Ollama's API look for
    return response;
  }
  response.content_type = "text/html; charset=utf-8";
  response.body = chat_page();
  response.headers.emplace_back("Content-Security-Policy", chat_page_policy());
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cache-Control", "no-cache");
  return response;
}

}  // namespace

// Open without a key: the page holds nothing, and asks for the key itself.
void add_routes(http::Router& router) { router.add({"GET", "/", root, true}); }

}  // namespace kakeya::serve::page
