#include "serve/http/message.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::serve::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

void Headers::add(std::string name, std::string value) {
  entries_.emplace_back(std::move(name), std::move(value));
}

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

bool Headers::has(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& entry) { return equal_ignoring_case(entry.first, name); });
}

void add_error_headers(const ApiError& error, Response& response) {
  if (error.retry_after_s > 0) {
    response.headers.emplace_back("retry-after", std::to_string(error.retry_after_s));
  }
  // SDKs retry these statuses by themselves; others they do not.
  if (error.status == 408 || error.status == 409 || error.status == 429 || error.status >= 500) {
    response.headers.emplace_back("x-should-retry", error.retry ? "true" : "false");
  }
}

Response openai_error(const ApiError& error) {
  Response response;
  response.status = error.status;
  const nlohmann::ordered_json body = {{"error",
                                        {{"message", error.message},
                                         {"type", error.type},
                                         {"param", text_or_null(error.param)},
                                         {"code", text_or_null(error.code)}}}};
  response.body = body.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  add_error_headers(error, response);
  return response;
}

}  // namespace kakeya::serve::http
