// Prompts against the models' own templates, rendered by Jinja2 (tools/golden/make_chat_cases.py) or
// published.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/byte_alphabet.h"
#include "text/chat_json.h"
#include "text/test_data.h"

namespace kakeya::text {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::string family, text;  // the case as JSON: also a request
  std::string expected;
};

std::vector<Case> read_cases(const std::string& path) {
  std::vector<Case> out;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    const auto parsed = nlohmann::json::parse(line);
    out.push_back({parsed.value("family", ""), line, parsed.at("expected").get<std::string>()});
  }
  return out;
}

void expect_rendering(TemplateFamily family, const ChatRequest& request, const Case& expected) {
  const auto got = render_chat(family, request);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got.value(), expected.expected) << expected.text;
}

TEST(ChatTemplate, Qwen3MatchesEveryPublishedCase) {
  const std::string path = shared_path("data/chat_template/cases.jsonl");
  if (!exists(path)) GTEST_SKIP() << path << " is missing";
  const auto cases = read_cases(path);
  EXPECT_GE(cases.size(), 35u);
  for (const Case& item : cases) {
    const auto request = parse_chat_request(item.text);
    ASSERT_TRUE(request.ok()) << request.error().message;
    expect_rendering(TemplateFamily::kQwen3, *request, item);
    if (item.text.find("chatml.gotmpl") != std::string::npos) {
      expect_rendering(TemplateFamily::kChatMl, *request, item);
    }
  }
}

TEST(ChatTemplate, MatchesJinjaOnRandomConversations) {
  std::map<std::string, int> seen;
  for (const Case& item : read_cases(source_path("tests/golden/text/chat_cases.jsonl"))) {
    auto request = parse_chat_request(item.text);
    ASSERT_TRUE(request.ok()) << request.error().message;
    ++seen[item.family];
    if (item.family == "tiny") request->enable_thinking = false;
    const bool llama = item.family == "llama3";
    expect_rendering(llama ? TemplateFamily::kLlama3 : TemplateFamily::kQwen3, *request, item);
  }
  EXPECT_GE(seen["qwen3"], 300);
  EXPECT_GE(seen["tiny"], 50);
  EXPECT_GE(seen["llama3"], 50);
}

// What the three ollama goldens show: frames, nothing added.
TEST(ChatTemplate, ChatMlFramesEveryRole) {
  ChatRequest request;
  request.messages = {{"system", "S", {}, {}}, {"user", "U", {}, {}}, {"assistant", "A", {}, {}}};
  EXPECT_EQ(
      render_chat(TemplateFamily::kChatMl, request).value(),
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
      "<|im_start|>assistant\n");
  request.add_generation_prompt = false;
  EXPECT_THAT(render_chat(TemplateFamily::kChatMl, request).value(), ::testing::EndsWith("A<|im_end|>\n"));
}

TEST(ChatTemplate, FamiliesWithoutToolsRefuseThemByName) {
  ChatRequest request;
  request.messages = {{"user", "U", {}, {}}};
  request.tools_json = {"{}"};
  for (const auto family : {TemplateFamily::kChatMl, TemplateFamily::kLlama3}) {
    const auto refused = render_chat(family, request);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("tools"));
    EXPECT_THAT(refused.error().message, HasSubstr(to_string(family)));
  }
  request.tools_json.clear();
  request.messages[0].role = "tool";
  EXPECT_FALSE(render_chat(TemplateFamily::kLlama3, request).ok());
  request.messages[0].role = "assistant";
  request.messages[0].tool_calls = {{"f", "{}"}};
  EXPECT_FALSE(render_chat(TemplateFamily::kChatMl, request).ok());
}

TEST(ChatTemplate, RefusesAnEmptyConversation) {
  for (const auto family : {TemplateFamily::kQwen3, TemplateFamily::kChatMl, TemplateFamily::kLlama3}) {
    const auto refused = render_chat(family, ChatRequest{});
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("messages"));
  }
}

TEST(ChatTemplate, RefusesBrokenToolJson) {
  ChatRequest request;
  request.messages = {{"user", "U", {}, {}}};
  request.tools_json = {"{"};
  EXPECT_THAT(render_chat(TemplateFamily::kQwen3, request).error().message, HasSubstr("tools[0]"));
  request.tools_json = {std::string(100000, '[')};
  EXPECT_THAT(render_chat(TemplateFamily::kQwen3, request).error().message, HasSubstr("nests deeper"));
  request.tools_json.clear();
  request.messages.push_back({"assistant", "", {}, {{"f", "{]"}}});
  EXPECT_THAT(render_chat(TemplateFamily::kQwen3, request).error().message, HasSubstr("tool call f"));
}

std::unique_ptr<const Tokenizer> tokenizer_with(const std::vector<std::string>& tokens) {
  formats::TokenizerFile file;
  for (int b = 0; b < 256; ++b) file.vocab.emplace_back(byte_character(static_cast<std::uint8_t>(b)));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    formats::AddedToken token;
    token.id = static_cast<Token>(256 + i);
    token.content = tokens[i];
    file.added.push_back(token);
  }
  auto tokenizer = Tokenizer::create(std::move(file));
  EXPECT_TRUE(tokenizer.ok());
  return std::move(*tokenizer);
}

std::string family_of(const std::vector<std::string>& tokens) {
  const auto family = detect_template(*tokenizer_with(tokens));
  return family.ok() ? to_string(*family) : family.error().message;
}

TEST(ChatTemplate, FamilyFollowsFromSpecialTokens) {
  EXPECT_EQ(family_of({"<|im_start|>", "<|im_end|>", "<think>"}), "qwen3");
  EXPECT_EQ(family_of({"<|im_start|>", "<|im_end|>"}), "chatml");
  EXPECT_EQ(family_of({"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}), "llama3");
  EXPECT_THAT(family_of({"<start_of_turn>"}), HasSubstr("<|im_start|>"));
}

TEST(ChatTemplate, IsChosenByNameWhereTheTokenizerFits) {
  const auto tokenizer = tokenizer_with({"<|im_start|>", "<|im_end|>", "<think>"});
  EXPECT_EQ(choose_template(*tokenizer, "chatml").value(), TemplateFamily::kChatMl);
  EXPECT_EQ(choose_template(*tokenizer, "qwen3\n").value(), TemplateFamily::kQwen3);
  EXPECT_THAT(choose_template(*tokenizer, "llama3").error().message, HasSubstr("<|start_header_id|>"));
  EXPECT_THAT(choose_template(*tokenizer, "mistral-v7").error().message, HasSubstr("'mistral-v7'"));
  EXPECT_THAT(choose_template(*tokenizer, "").error().message, HasSubstr("expected qwen3"));
}

TEST(ChatTemplate, IsChosenByThePublishedTextAndNoOther) {
  const std::string path = shared_path("data/chat_template/Qwen-Qwen3-0.6B.jinja");
  std::ifstream in(path);
  if (!in) GTEST_SKIP() << path << " is missing (set KAKEYA_SHARED)";
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto tokenizer = tokenizer_with({"<|im_start|>", "<|im_end|>", "<think>"});
  EXPECT_EQ(choose_template(*tokenizer, text + "\n").value(), TemplateFamily::kQwen3);
  const auto changed = choose_template(*tokenizer, text + "{{ 1 }}");
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(changed.error().message, HasSubstr("not rendered here"));
}

// Values printed by Python 3.
TEST(PythonFloat, PrintsWhatReprPrints) {
  const std::pair<double, const char*> cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {100.0, "100.0"},
      {0.1, "0.1"},
      {123.456, "123.456"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {1.5e16, "1.5e+16"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {0.000012, "1.2e-05"},
      {5e-324, "5e-324"},
      {1e100, "1e+100"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(python_float(value), expected);
}

TEST(ChatRequest, TakesBothFormsOfToolCallsAndDefaults) {
  const auto request = parse_chat_request(
      R"({"messages":[{"role":"user","content":null},{"role":"assistant","tool_calls":[
          {"function":{"name":"f","arguments":{"b":1,"a":[1.0,"é"]}}},{"name":"g","arguments":"{\"x\": 1}"}]}],
          "tools":[{"z":1,"a":2}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->messages[0].content, "");
  EXPECT_FALSE(request->messages[0].reasoning_content.has_value());
  ASSERT_EQ(request->messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(request->messages[1].tool_calls[0].name, "f");
  EXPECT_EQ(request->messages[1].tool_calls[0].arguments_json, R"({"b": 1, "a": [1.0, "é"]})");
  EXPECT_EQ(request->messages[1].tool_calls[1].arguments_json, R"("{\"x\": 1}")");
  EXPECT_EQ(request->tools_json, std::vector<std::string>{R"({"z": 1, "a": 2})"});
  EXPECT_TRUE(request->add_generation_prompt);
  EXPECT_FALSE(request->enable_thinking.has_value());
}

TEST(ChatRequest, RefusesWrongTypesNamingTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not valid JSON"},
      {"[]", "\"request\""},
      {"{}", "\"messages\" is missing"},
      {R"({"messages":3})", "\"messages\": found 3"},
      {R"({"messages":[3]})", "\"messages[0]\""},
      {R"({"messages":[{}]})", "\"messages[0].role\" is missing"},
      {R"({"messages":[{"role":7}]})", "\"messages[0].role\""},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", "\"messages[0].content\""},
      {R"({"messages":[{"role":"user","reasoning_content":1}]})", "\"messages[0].reasoning_content\""},
      {R"({"messages":[{"role":"assistant","tool_calls":{}}]})", "\"messages[0].tool_calls\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[1]}]})", "\"messages[0].tool_calls[0]\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":1}]}]})", "tool_calls[0].function\""},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"arguments":{}}]}]})",
       "tool_calls[0].name\" is missing"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"name":"f"}]}]})",
       "tool_calls[0].arguments\" is missing"},
      {R"({"messages":[],"tools":{}})", "\"tools\""},
      {R"({"messages":[],"tools":["x"]})", "\"tools[0]\""},
      {R"({"messages":[],"add_generation_prompt":1})", "\"add_generation_prompt\""},
      {R"({"messages":[],"enable_thinking":"no"})", "\"enable_thinking\""},
      {"{\"messages\":[\"\xff\"]}", "not valid JSON"},
  };
  for (const auto& [text, expected] : cases) {
    const auto request = parse_chat_request(text);
    ASSERT_FALSE(request.ok()) << text;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(request.error().message, HasSubstr(expected));
  }
  const auto deep = parse_chat_request("{\"messages\":" + std::string(1000000, '['));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace kakeya::text
