// Fields of other servers: refused where they would change the answer.
#include "serve/openai/foreign_fields.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kakeya::serve::openai {
namespace {

std::string refused(Dialect dialect, const std::string& name, const Json& value) {
  const Json body = {{name, value}};
  Fields fields(body);
  refuse_foreign(fields, dialect);
  return fields.ok() ? "" : fields.error()->param;
}

TEST(ForeignFields, AreRefusedOnEveryRouteAlike) {
  const std::vector<std::pair<std::string, Json>> changing = {
      {"samplers", {"top_k"}}, {"lora", {{{"id", 0}, {"scale", 1}}}},
      {"min_keep", 4},         {"logits_processors", {"x"}},
      {"length_penalty", 2.0}, {"truncate_prompt_tokens", 3},
      {"mirostat", 2},         {"typ_p", 0.5}};
  for (const Dialect dialect : {Dialect::kChat, Dialect::kCompletion, Dialect::kLlama}) {
    for (const auto& [name, value] : changing) EXPECT_EQ(refused(dialect, name, value), name);
    // Values of clients that send every field.
    const std::vector<std::pair<std::string, Json>> usual = {
        {"samplers", {"dry", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"}},
        {"samplers", "edskypmxt"},
        {"lora", Json::array()},
        {"min_keep", 0},
        {"length_penalty", 1.0},
        {"typical_p", 1},
        {"mirostat", 0},
        {"return_tokens", true},
        {"return_token_ids", true},
        {"truncate_prompt_tokens", nullptr},
        {"reasoning_format", "auto"}};
    for (const auto& [name, value] : usual) EXPECT_EQ(refused(dialect, name, value), "") << name;
  }
}

TEST(ForeignFields, SomeAreThoseOfOneRoute) {
  EXPECT_EQ(refused(Dialect::kChat, "t_max_predict_ms", 1), "t_max_predict_ms");
  EXPECT_EQ(refused(Dialect::kLlama, "t_max_predict_ms", 1), "");
  EXPECT_EQ(refused(Dialect::kChat, "best_of", 3), "best_of");
  EXPECT_EQ(refused(Dialect::kChat, "parse_tool_calls", false), "parse_tool_calls");
  EXPECT_EQ(refused(Dialect::kChat, "reasoning_format", "none"), "reasoning_format");
  EXPECT_EQ(refused(Dialect::kChat, "reasoning_format", "deepseek"), "");
  EXPECT_EQ(refused(Dialect::kLlama, "reasoning_format", "none"), "");
  EXPECT_EQ(refused(Dialect::kLlama, "reasoning_format", "deepseek"), "reasoning_format");
}

}  // namespace
}  // namespace kakeya::serve::openai
