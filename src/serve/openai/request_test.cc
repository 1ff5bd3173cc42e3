// Bodies as clients send them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serve/openai/chat_request.h"
#include "serve/openai/completion_request.h"
#include "serve/test_support.h"

namespace kakeya::serve::openai {
namespace {

using testing::HasSubstr;

class ChatBody : public testing::Test {
 protected:
  ChatCall read(const std::string& body) {
    ChatCall call;
    const auto error = attempt(body, call);
    EXPECT_FALSE(error) << error->message;
    return call;
  }
  http::ApiError refused(const std::string& body) {
    ChatCall call;
    const auto error = attempt(body, call);
    EXPECT_TRUE(error) << body;
    return error.value_or(http::ApiError{});
  }
  // A body with one user message and these fields.
  std::string with(const std::string& fields) {
    return R"({"model":"qwen3/tiny:test","messages":[{"role":"user","content":"hi"}],)" + fields + "}";
  }
  static const ChatRequest& chat(const ChatCall& call) { return std::get<ChatRequest>(call.dialog.input); }

  test::World world_;

 private:
  std::optional<http::ApiError> attempt(const std::string& body, ChatCall& call) {
    Json json;
    if (auto error = parse_body(body, json)) return error;
    return read_chat(json, world_.context, call);
  }
};

TEST_F(ChatBody, OfContinueWithNineTools) {
  const ChatCall call = read(with(
      R"("stream":true,"stream_options":{"include_usage":true},"max_tokens":4096,"temperature":0.5,"top_p":1,
         "parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"Read","description":"d",
         "parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}},"strict":false}}])"));
  EXPECT_TRUE(call.stream.stream);
  EXPECT_TRUE(call.stream.include_usage);
  EXPECT_EQ(call.dialog.max_tokens, 4096);
  EXPECT_FALSE(call.dialog.parallel_tools);
  ASSERT_EQ(chat(call).tools_json.size(), 1u);
  EXPECT_THAT(chat(call).tools_json[0], HasSubstr(R"("properties":{"z":{"type":"string"},"a")"))
      << "order kept";
}

TEST_F(ChatBody, TreatsNullAsAbsent) {
  const ChatCall call = read(with(
      R"("stream":null,"stream_options":null,"max_tokens":null,"temperature":null,"top_p":null,"n":null,"stop":null,
         "seed":null,"tools":null,"tool_choice":null,"response_format":null,"logit_bias":null,"logprobs":null,
         "top_logprobs":null,"user":null,"presence_penalty":null,"reasoning_effort":null,"kakeya":null)"));
  EXPECT_FALSE(call.stream.stream);
  EXPECT_EQ(call.n, 1);
  EXPECT_FALSE(call.dialog.max_tokens);
  EXPECT_FALSE(call.dialog.sampling.temperature);
  EXPECT_FALSE(chat(call).enable_thinking);
}

TEST_F(ChatBody, IgnoresFieldsThatNobodyKnows) {
  read(with(R"("store":true,"metadata":{"a":"b"},"chat_id":"x","cache_control":{},"service_tier":"auto",
               "verbosity":"low","prediction":{},"safety_identifier":"s","zzz":[1])"));
}

TEST_F(ChatBody, OfLangChainAndJanWithTheirNamesForLimits) {
  EXPECT_EQ(read(with(R"("max_completion_tokens":7,"max_tokens":9)")).dialog.max_tokens, 7);
  const ChatCall jan = read(with(
      R"("temperature":0.7,"top_k":20,"top_p":0.8,"repeat_penalty":1.12,"max_output_tokens":2048,
         "stop_sequences":["</s>"],"chat_template_kwargs":{"enable_thinking":false})"));
  EXPECT_EQ(jan.dialog.max_tokens, 2048);
  EXPECT_EQ(jan.dialog.sampling.top_k, 20);
  EXPECT_FLOAT_EQ(*jan.dialog.sampling.repetition_penalty, 1.12f);
  EXPECT_THAT(jan.dialog.stop_strings, testing::ElementsAre("</s>"));
  EXPECT_EQ(chat(jan).enable_thinking, false);
}

TEST_F(ChatBody, JoinsPartsAndTakesEmptyAssistantContents) {
  const ChatCall call = read(R"({"messages":[
      {"role":"developer","content":"be brief"},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":[],"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}}]},
      {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"42"}]},
      {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"function":{"name":"g","arguments":""}}]}]})");
  const auto& messages = chat(call).messages;
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[1].content, "ab");
  EXPECT_EQ(messages[2].tool_calls[0].name, "f");
  EXPECT_EQ(nlohmann::json::parse(messages[2].tool_calls[0].arguments_json), "{\"x\": 1}") << "byte by byte";
  EXPECT_EQ(messages[3].content, "42");
  EXPECT_EQ(messages[4].reasoning_content, "hm");
  EXPECT_EQ(messages[4].tool_calls[0].arguments_json, "{}");
}

TEST_F(ChatBody, RefusesImagesByName) {
  const auto error = refused(
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"?"},{"type":"image_url","image_url":{"url":"data:x"}}]}]})");
  EXPECT_EQ(error.status, 400);
  EXPECT_EQ(error.param, "messages[0].content[1]");
  EXPECT_THAT(error.message, HasSubstr("image_url"));
}

TEST_F(ChatBody, OfCursorsAskMixesNestedAndFlatCustomTools) {
  const ChatCall call = read(with(
      R"("user":"u","tools":[{"type":"function","function":{"name":"read_file","parameters":{}}},
         {"type":"custom","name":"ApplyPatch","description":"edits","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}])"));
  EXPECT_THAT(call.custom_tools, testing::ElementsAre("ApplyPatch"));
  const auto made = nlohmann::json::parse(chat(call).tools_json[1]);
  EXPECT_EQ(made["function"]["parameters"]["required"][0], "input");
  EXPECT_THAT(made["function"]["description"].get<std::string>(), HasSubstr("start: x"));
}

TEST_F(ChatBody, OfCursorsAgentHasItemsInsteadOfMessages) {
  const ChatCall call =
      read(R"({"model":"qwen3/tiny:test","instructions":"sys","stream":true,"reasoning":{"effort":"none"},
      "tools":[{"type":"function","name":"ls","parameters":{"type":"object"}}],
      "input":[{"role":"user","content":[{"type":"input_text","text":"list"}]},
               {"type":"function_call","call_id":"1","name":"ls","arguments":"{}"},
               {"type":"custom_tool_call","call_id":"2","name":"ApplyPatch","input":"*** Begin Patch"},
               {"type":"function_call_output","call_id":"1","output":"a.txt"}]})");
  const auto& messages = chat(call).messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].content, "sys");
  EXPECT_EQ(messages[2].tool_calls.size(), 2u) << "calls in a row are one message";
  EXPECT_EQ(messages[3].role, "tool");
  EXPECT_EQ(chat(call).enable_thinking, false);
}

TEST_F(ChatBody, ChoosesTools) {
  const std::string tools =
      R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],)";
  EXPECT_EQ(read(with(tools + R"("tool_choice":"required")")).dialog.tool_choice,
            dialog::ToolChoice::kRequired);
  EXPECT_EQ(read(with(tools + R"("tool_choice":"none")")).dialog.tool_choice, dialog::ToolChoice::kNone);
  const ChatCall named = read(with(tools + R"("tool_choice":{"type":"function","function":{"name":"g"}})"));
  EXPECT_EQ(named.dialog.tool_name, "g");
  const ChatCall allowed = read(with(
      tools +
      R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}})"));
  EXPECT_EQ(chat(allowed).tools_json.size(), 1u);
  EXPECT_EQ(allowed.dialog.tool_choice, dialog::ToolChoice::kRequired);
  EXPECT_EQ(refused(with(tools + R"("tool_choice":{"type":"function","function":{"name":"h"}})")).param,
            "tool_choice");
  EXPECT_EQ(refused(with(R"("tool_choice":"required")")).param, "tool_choice");
}

TEST_F(ChatBody, ReadsEveryFormOfAConstraint) {
  const auto format = [&](const std::string& fields) { return read(with(fields)).dialog.format; };
  EXPECT_FALSE(format(R"("response_format":{"type":"text"})"));
  EXPECT_EQ(format(R"("response_format":{"type":"json_object"})")->kind, ConstraintKind::kJsonObject);
  for (
      const char* fields :
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}})",
       R"("response_format":{"type":"json_object","schema":{"type":"object"}})",
       R"("json_schema":{"type":"object"})", R"("structured_outputs":{"json":{"type":"object"}})",
       R"("guided_json":{"type":"object"})"}) {
    const auto spec = format(fields);
    ASSERT_TRUE(spec) << fields;
    EXPECT_EQ(spec->kind, ConstraintKind::kJsonSchema);
    EXPECT_EQ(spec->text, R"({"type":"object"})");
  }
  EXPECT_EQ(format(R"("grammar":"root ::= \"a\"")")->kind, ConstraintKind::kGrammar);
  EXPECT_EQ(refused(with(R"("response_format":{"type":"xml"})")).param, "response_format");
  EXPECT_EQ(refused(with(R"("grammar":"root ::= \"a\"","json_schema":{})")).status, 400);
}

TEST_F(ChatBody, RefusesByNameWhatItKnowsAndCannotDo) {
  for (const char* field :
       {R"("mirostat":2)", R"("use_beam_search":true)", R"("n_probs":5)", R"("modalities":["text","audio"])",
        R"("functions":[{"name":"f"}])", R"("reasoning_budget":512)", R"("prompt_logprobs":1)"}) {
    const auto error = refused(with(field));
    EXPECT_EQ(error.code, "unsupported_parameter") << field;
    EXPECT_THAT(std::string(field), HasSubstr(error.param));
  }
  read(with(R"("mirostat":0,"use_beam_search":false,"n_probs":0,"modalities":["text"],"functions":[])"));
}

TEST_F(ChatBody, ChecksRanges) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"("temperature":2.1)", "temperature"},
      {R"("temperature":"1")", "temperature"},
      {R"("top_p":1.5)", "top_p"},
      {R"("presence_penalty":-3)", "presence_penalty"},
      {R"("n":0)", "n"},
      {R"("n":17)", "n"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":1.5)", "max_tokens"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
      {R"("top_logprobs":2)", "top_logprobs"},
      {R"("stop":[1])", "stop"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"1":101})", "logit_bias"},
      {R"("logit_bias":{"256":1})", "logit_bias"},
      {R"("stream_options":{"include_usage":true})", "stream_options"},
      {R"("stream":"yes")", "stream"},
      {R"("stop_token_ids":[-1])", "stop_token_ids"},
  };
  for (const auto& [field, param] : wrong) {
    const auto error = refused(with(field));
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, param) << field;
  }
  EXPECT_EQ(read(with(R"("max_tokens":99999999999999999999)")).dialog.max_tokens,
            std::numeric_limits<int>::max());
  EXPECT_EQ(read(with(R"("logit_bias":{"5":-100})")).dialog.rules.logit_bias.size(), 1u);
  EXPECT_EQ(read(with(R"("stop":["1","2","3","4","5","6","7","8","9","10"])")).dialog.stop_strings.size(),
            10u);
}

TEST_F(ChatBody, TurnsThinkingOnAndOff) {
  const auto thinking = [&](const char* field) { return chat(read(with(field))).enable_thinking; };
  EXPECT_EQ(thinking(R"("reasoning_effort":"none")"), false);
  EXPECT_EQ(thinking(R"("reasoning_effort":"high")"), true);
  EXPECT_EQ(thinking(R"("reasoning":{"enabled":false})"), false);
  EXPECT_EQ(thinking(R"("chat_template_kwargs":{"enable_thinking":true})"), true);
  EXPECT_TRUE(read(with(R"("reasoning_budget":0)")).dialog.reasoning_limit_zero);
}

TEST_F(ChatBody, KeepsSwitchesWithinWhatTheServerAllows) {
  world_.options.kv_allowed = {"e8-q38"};
  const ChatCall call = read(with(R"("kakeya":{"kv":"e8-q38","speculation":"off","verify_width":4})"));
  EXPECT_EQ(call.dialog.kv, "e8-q38");
  EXPECT_EQ(call.dialog.speculation, Speculation::kOff);
  EXPECT_EQ(call.dialog.verify_width, 4u);
  const auto error = refused(with(R"("kakeya":{"kv":"e8-q4"})"));
  EXPECT_EQ(error.param, "kakeya.kv");
  EXPECT_THAT(error.message, HasSubstr("bf16, e8-q38"));
}

TEST_F(ChatBody, KnowsItsNamesAndNoOthers) {
  read(R"({"model":"qwen3/tiny:test:latest","messages":[{"role":"user","content":"x"}]})");
  const auto error = refused(R"({"model":"gpt-4o","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(error.status, 404);
  EXPECT_EQ(error.code, "model_not_found");
}

TEST_F(ChatBody, OfTooDeepOrBrokenJsonIsRefused) {
  EXPECT_EQ(refused("{").code, "invalid_json");
  EXPECT_EQ(refused("[1]").code, "invalid_json");
  EXPECT_THAT(refused(std::string(200, '[')).message, HasSubstr("deep"));
  EXPECT_EQ(refused(R"({"a":1e999})").code, "invalid_json");
}

class CompletionBody : public testing::Test {
 protected:
  std::optional<http::ApiError> read(const std::string& body) {
    Json json;
    EXPECT_FALSE(parse_body(body, json));
    call_ = {};
    return read_completion(json, world_.context, call_);
  }
  test::World world_;
  CompletionCall call_;
};

TEST_F(CompletionBody, TakesEveryFormOfAPrompt) {
  const std::pair<const char*, std::size_t> forms[] = {{R"({"prompt":"ab"})", 1},
                                                       {R"({"prompt":["a","b"]})", 2},
                                                       {R"({"prompt":[1,2,3]})", 1},
                                                       {R"({"prompt":[[1],[2,3]]})", 2}};
  for (const auto& [body, count] : forms) {
    EXPECT_FALSE(read(body)) << body;
    EXPECT_EQ(call_.dialogs.size(), count) << body;
    EXPECT_EQ(call_.dialogs[0].max_tokens, 16);
    EXPECT_FALSE(call_.dialogs[0].parse_output);
  }
  for (const char* body :
       {R"({})", R"({"prompt":""})", R"({"prompt":[]})", R"({"prompt":[999]})", R"({"prompt":{}})"}) {
    const auto error = read(body);
    ASSERT_TRUE(error) << body;
    EXPECT_EQ(error->param, "prompt");
  }
}

TEST_F(CompletionBody, RefusesByNameWhatItCannotDo) {
  EXPECT_EQ(read(R"({"prompt":"a","best_of":3})")->param, "best_of");
  EXPECT_FALSE(read(R"({"prompt":"a","best_of":2,"n":2})"));
  EXPECT_EQ(read(R"({"prompt":"a","suffix":"b"})")->param, "suffix");
  EXPECT_EQ(read(R"({"prompt":"a","logprobs":6})")->param, "logprobs");
  EXPECT_EQ(read(R"({"prompt":"a","max_tokens":0})")->param, "max_tokens");
  EXPECT_FALSE(read(R"({"prompt":"a","max_tokens":0,"echo":true,"logprobs":1})"));
  EXPECT_EQ(call_.dialogs[0].prompt_logprobs, 1);
}

}  // namespace
}  // namespace kakeya::serve::openai
