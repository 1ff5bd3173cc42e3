// Anthropic's /v1/messages body -> a dialog request. Nothing here talks to a model.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "dialog/dialog.h"
#include "serve/http/message.h"
#include "serve/json.h"

namespace kakeya::serve::anthropic {

struct Call {
  dialog::DialogRequest request;  // input is a ChatRequest
  std::string model;
  bool stream = false;
  Json switches;  // "kakeya" as it came; null without
};

// `counting`: the body of count_tokens, which has no max_tokens.
std::variant<Call, http::ApiError> read_messages(std::string_view body, bool counting);

}  // namespace kakeya::serve::anthropic
