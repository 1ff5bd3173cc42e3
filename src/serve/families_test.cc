// What must be the same on every family of routes: our own switches, what is refused, errors of size.
#include "serve/routes_test_support.h"

namespace kakeya::serve {
namespace {

using test::generating;
using test::messages;
using Families = test::Routes;

Json with(Json body, const char* name, Json value) {
  body[name] = std::move(value);
  return body;
}

TEST_F(Families, TakeOurSwitchesAndReportWhatWasInEffect) {
  world_.options.kv_allowed = {"bf16", "e8-q38"};
  Cycle cycle;
  cycle.proposed = 4;
  cycle.accepted = 2;
  world_.script.parts.back().summary->completion.cycles = {cycle, cycle};
  for (const auto& [path, body] : generating()) {
    const auto answer =
        post(path, with(body, "kakeya", {{"speculation", "off"}, {"kv", "e8-q38"}, {"verify_width", 5}}));
    ASSERT_EQ(answer.status, 200) << path << answer.body;
    EXPECT_EQ(asked().speculation, Speculation::kOff) << path;
    EXPECT_EQ(asked().kv, "e8-q38") << path;
    EXPECT_EQ(asked().verify_width, 5u) << path;
    EXPECT_EQ(answer.body["kakeya"]["proposed"], 8) << path << answer.body;
    EXPECT_EQ(answer.body["kakeya"]["accepted"], 4) << path;
    const std::string text = stream(path, with(body, "stream", true));
    EXPECT_NE(text.find("\"kakeya\":{\"acceptance_length\":"), std::string::npos) << path << text;
  }
}

TEST_F(Families, RefuseSwitchesThatTheyDoNotKnow) {
  for (const auto& [path, body] : generating()) {
    for (const Json& own :
         {Json{{"specualtion", "off"}}, Json{{"kv", "nope"}}, Json{{"speculation", "fast"}}}) {
      const auto answer = post(path, with(body, "kakeya", own));
      EXPECT_EQ(answer.status, 400) << path << own;
      EXPECT_NE(answer.message().find("kakeya." + own.items().begin().key()), std::string::npos)
          << answer.body;
    }
  }
  for (const auto& [path, body] : {std::pair<const char*, Json>{"/v1/embeddings", {{"input", "hi"}}},
                                   {"/api/embed", {{"model", "qwen3/tiny:test"}, {"input", "hi"}}}}) {
    EXPECT_EQ(post(path, body).status, 200);
    const auto answer = post(path, with(body, "kakeya", {{"kv", "bf16"}}));
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_NE(answer.message().find("kakeya"), std::string::npos);
  }
}

TEST_F(Families, SumDraftsOverTheChoicesAndNameWhatWasLoosened) {
  Cycle cycle;
  cycle.proposed = 4;
  cycle.accepted = 3;
  world_.script.parts.back().summary->completion.cycles = {cycle};
  world_.script.parts.back().summary->loosened = {"f#/properties/a/not"};
  const auto answer = post("/v1/chat/completions", {{"messages", messages()}, {"n", 3}});
  EXPECT_EQ(answer.body["kakeya"]["proposed"], 12);
  EXPECT_EQ(answer.body["kakeya"]["accepted"], 9);
  EXPECT_EQ(answer.body["kakeya"]["loosened"], Json::array({"f#/properties/a/not"}));
  EXPECT_EQ(post("/v1/completions", {{"prompt", "a"}, {"n", 2}}).body["kakeya"]["proposed"], 8);
}

TEST_F(Families, ATopPOfNothingKeepsTheMostProbable) {
  for (auto [path, body] : generating()) {
    if (path.starts_with("/api")) {
      body["options"] = {{"top_p", 0}};
    } else {
      body["top_p"] = 0;
    }
    EXPECT_EQ(post(path, body).status, 200) << path;
    EXPECT_GT(asked().sampling.top_p.value_or(-1), 0) << path;
    EXPECT_LT(asked().sampling.top_p.value_or(1), 1e-30) << path;
  }
}

TEST_F(Families, RefuseStandardFieldsThatTheyDoNotKeep) {
  const auto all = generating();
  const Json response = all[3].second, message = all[4].second;
  Json chat = all[5].second;
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, Json>>{{"top_logprobs", 2},
                                                 {"truncation", "auto"},
                                                 {"n", 2},
                                                 {"include", {"message.output_text.logprobs"}}}) {
    const auto answer = post("/v1/responses", with(response, name, value));
    EXPECT_EQ(answer.status, 400) << name;
    EXPECT_EQ(answer.param(), Json(name).dump());
  }
  Json harmless = with(with(response, "truncation", "disabled"), "include", {"reasoning.encrypted_content"});
  harmless["top_logprobs"] = 0;
  harmless["stop"] = "END";
  EXPECT_EQ(post("/v1/responses", harmless).status, 200);
  EXPECT_EQ(asked().stop_strings, std::vector<std::string>{"END"});
  EXPECT_EQ(post("/v1/messages", with(message, "mcp_servers", {{{"url", "x"}}})).status, 400);
  EXPECT_EQ(post("/v1/messages", with(message, "container", "c1")).status, 400);
  EXPECT_EQ(post("/v1/messages", with(message, "mcp_servers", Json::array())).status, 200);
  EXPECT_EQ(post("/api/chat", with(chat, "logprobs", true)).status, 400);
  EXPECT_EQ(post("/api/chat", with(chat, "options", {{"mirostat", 2}})).status, 400);
  EXPECT_EQ(post("/api/chat", with(chat, "options", {{"mirostat", 0}})).status, 200);
}

TEST_F(Families, AnthropicsFormatIsAConstraint) {
  const Json format = {{"type", "json_schema"}, {"schema", {{"type", "object"}}}};
  const Json message = generating()[4].second;
  for (const Json& body :
       {with(message, "output_config", {{"format", format}}), with(message, "output_format", format)}) {
    ASSERT_EQ(post("/v1/messages", body).status, 200);
    ASSERT_TRUE(asked().format);
    EXPECT_EQ(asked().format->kind, ConstraintKind::kJsonSchema);
    EXPECT_EQ(asked().format->text, R"({"type":"object"})");
  }
  EXPECT_EQ(post("/v1/messages", with(message, "output_format", {{"type", "xml"}})).status, 400);
}

TEST_F(Families, AnOverflowNamesTheFieldOfThePrompt) {
  world_.script.refusal =
      Error{ErrorCode::kContextOverflow, "This model's maximum context length is 8 tokens."};
  const char* fields[] = {"messages", "prompt", "prompt", "input"};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto [path, body] = generating()[i];
    EXPECT_EQ(post(path, body).param(), Json(fields[i]).dump()) << path;
  }
  const std::string text(600, 'a');  // the world's context is 512
  EXPECT_EQ(post("/v1/embeddings", {{"input", text}}).param(), "\"input\"");
  const auto embed = post("/api/embed", {{"model", "qwen3/tiny:test"}, {"input", text}, {"truncate", false}});
  EXPECT_EQ(embed.status, 400);
  EXPECT_NE(embed.message().find("maximum context length"), std::string::npos);
}

TEST_F(Families, MoreAnswersThanEverFitAreAMistakeOfTheRequest) {
  world_.service.options_.slots = 1;
  world_.service.options_.max_queue = 1;
  const auto answer = post("/v1/chat/completions", {{"messages", messages()}, {"n", 3}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.param(), "\"n\"");
  EXPECT_EQ(post("/v1/chat/completions", {{"messages", messages()}, {"n", 2}}).status, 200);
  EXPECT_EQ(post("/v1/completions", {{"prompt", {"a", "b", "c"}}}).param(), "\"prompt\"");
}

TEST_F(Families, ParametersThatAreNoObjectAreRefused) {
  const auto tool = [](Json parameters) {
    return Json::array(
        {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", std::move(parameters)}}}}});
  };
  for (const std::size_t i : {std::size_t{0}, std::size_t{5}}) {  // chat, /api/chat
    const auto [path, body] = generating()[i];
    EXPECT_EQ(post(path, with(body, "tools", tool("x"))).status, 400) << path;
    EXPECT_EQ(post(path, with(body, "tools", tool({1}))).status, 400) << path;
    for (const Json& good : {Json(nullptr), Json::object(), Json::array()}) {
      EXPECT_EQ(post(path, with(body, "tools", tool(good))).status, 200) << path << good;
    }
  }
}

TEST_F(Families, SmallMistakesAreToldByName) {
  const auto format = [](Json value) {
    return Json{{"messages", messages()}, {"response_format", std::move(value)}};
  };
  for (const Json& bad :
       {Json{{"type", "json_schema"}}, Json{{"type", "json_schema"}, {"json_schema", "x"}}}) {
    EXPECT_EQ(post("/v1/chat/completions", format(bad)).param(), "\"response_format\"") << bad;
  }
  EXPECT_EQ(post("/v1/chat/completions", format({{"type", "json_schema"}, {"json_schema", {{"name", "x"}}}}))
                .status,
            200);
  const auto detokenized = post("/detokenize", {{"tokens", {"a"}}});
  EXPECT_EQ(detokenized.message(), "tokens: [0]: found \"a\", expected a token id.");
  for (const auto& [path, body] :
       {std::pair<const char*, Json>{"/v1/chat/completions",
                                     {{"messages", messages()}, {"reasoning_effort", "minimal"}}},
        {"/v1/responses", {{"input", "a"}, {"reasoning", {{"effort", "minimal"}}}}}}) {
    ASSERT_EQ(post(path, body).status, 200);
    EXPECT_EQ(std::get<ChatRequest>(asked().input).enable_thinking, false) << path;
  }
  world_.script.refusal = Error{ErrorCode::kInvalidArgument, "slot: found 5, expected 0 to 3"};
  EXPECT_EQ(post("/v1/chat/completions", {{"messages", messages()}, {"id_slot", 5}}).param(), "\"id_slot\"");
}

}  // namespace
}  // namespace kakeya::serve
