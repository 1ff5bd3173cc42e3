#include "serve/openai/logprobs.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::serve::openai {
namespace {

constexpr float kLowest = -9999.0f;  // OpenAI's stand-in for minus infinity, which JSON does not have

float finite(float logprob) { return std::max(logprob, kLowest); }

Json entry(Token id, float logprob, const Engine& engine) {
  const std::string bytes = engine.token_bytes(id);
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {{"token", bytes}, {"logprob", finite(logprob)}, {"bytes", numbers}};
}

}  // namespace

Json chat_logprobs(const std::vector<TokenLogprob>& tokens, const Engine& engine) {
  Json content = Json::array();
  for (const TokenLogprob& token : tokens) {
    Json made = entry(token.id, token.logprob, engine);
    Json top = Json::array();
    for (const auto& [id, logprob] : token.top) top.push_back(entry(id, logprob, engine));
    made["top_logprobs"] = std::move(top);
    content.push_back(std::move(made));
  }
  return content;
}

Json completion_logprobs(const std::vector<TokenLogprob>& tokens, const Engine& engine, std::size_t offset) {
  Json names = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : tokens) {
    const std::string text = engine.token_bytes(token.id);
    Json top = Json::object();
    for (const auto& [id, logprob] : token.top) top[engine.token_bytes(id)] = finite(logprob);
    names.push_back(text);
    logprobs.push_back(finite(token.logprob));
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += text.size();
  }
  return {{"tokens", names}, {"token_logprobs", logprobs}, {"top_logprobs", tops}, {"text_offset", offsets}};
}

Json echo_logprobs(Token first, const std::vector<TokenLogprob>& rest, const Engine& engine) {
  const std::string text = engine.token_bytes(first);
  Json out = {{"tokens", Json::array({text})},
              {"token_logprobs", Json::array({nullptr})},
              {"top_logprobs", Json::array({nullptr})},
              {"text_offset", Json::array({0})}};
  append_logprobs(out, completion_logprobs(rest, engine, text.size()));
  return out;
}

void append_logprobs(Json& to, const Json& more) {
  for (auto& [name, list] : to.items()) list.insert(list.end(), more[name].begin(), more[name].end());
}

}  // namespace kakeya::serve::openai
