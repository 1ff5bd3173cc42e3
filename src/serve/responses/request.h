// OpenAI's /v1/responses body -> a dialog request. Nothing here talks to a model.
#pragma once
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "dialog/dialog.h"
#include "serve/json.h"

namespace kakeya::serve::responses {

struct Call {
  dialog::DialogRequest request;  // input is a ChatRequest
  std::string model;              // empty when the request names none
  bool stream = false;
  Json switches;                       // "kakeya" as it came; null without
  Json echo_tools = Json::array();     // of the request's tools, those that count
  Json echo;                           // fields of the request that the response repeats
  std::set<std::string> custom_tools;  // take free text: the model is given {"input": string}
};

std::variant<Call, http::ApiError> read_request(std::string_view body);

}  // namespace kakeya::serve::responses
