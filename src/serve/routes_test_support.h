// All routes over a scripted world, called without sockets. Not for other code.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serve/http/router.h"
#include "serve/json.h"
#include "serve/server.h"
#include "serve/test_support.h"

namespace kakeya::serve::test {

class Collected : public http::Writer {
 public:
  bool write(std::string_view bytes) override {
    text += bytes;
    return true;
  }
  bool gone() override { return false; }
  std::string text;
};

class Routes : public testing::Test {
 protected:
  Routes() {
    add_routes(router_, world_.context);
    world_.script.parts = {text_part(dialog::AnswerPart::Kind::kContent, "six"),
                           finished_part(FinishReason::kStop, 5, 9)};
  }
  struct Answered {
    int status = 0;
    Json body;
    std::string param() const { return body["error"].value("param", Json()).dump(); }
    std::string message() const {
      const Json& error = body["error"];
      return error.is_string() ? error.get<std::string>() : error.value("message", "");
    }
  };
  Answered post(const std::string& path, const Json& body) {
    const http::Response response = respond(path, body);
    return {response.status, Json::parse(response.body, nullptr, false)};
  }
  std::string stream(const std::string& path, const Json& body) {
    const http::Response response = respond(path, body);
    if (!response.stream) return response.body;
    Collected writer;
    response.stream(writer);
    return writer.text;
  }
  const dialog::DialogRequest& asked() const { return world_.script.asked.back(); }

  World world_;

 private:
  http::Response respond(const std::string& path, const Json& body) {
    http::Request request;
    request.method = "POST";
    request.path = path;
    request.body = body.dump();
    const http::Route* route = router_.find(request);
    if (route == nullptr) return {404, "", "", {}, {}};
    auto answer = route->handler(request);
    if (const auto* error = std::get_if<http::ApiError>(&answer)) return route->style(*error);
    return std::get<http::Response>(std::move(answer));
  }
  http::Router router_;
};

inline Json messages() { return Json::array({{{"role", "user"}, {"content", "hi"}}}); }
// A good body of each route that generates.
inline std::vector<std::pair<std::string, Json>> generating() {
  const char* model = "qwen3/tiny:test";
  return {{"/v1/chat/completions", {{"messages", messages()}}},
          {"/v1/completions", {{"prompt", "hi"}}},
          {"/completion", {{"prompt", "hi"}}},
          {"/v1/responses", {{"input", "hi"}}},
          {"/v1/messages", {{"model", model}, {"max_tokens", 9}, {"messages", messages()}}},
          {"/api/chat", {{"model", model}, {"stream", false}, {"messages", messages()}}},
          {"/api/generate", {{"model", model}, {"stream", false}, {"prompt", "hi"}}}};
}

}  // namespace kakeya::serve::test
