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

TemplateFamily family_named(const std::string& name) {
  for (const auto family : {TemplateFamily::kLlama3, TemplateFamily::kLlama31, TemplateFamily::kQwen3Coder,
                            TemplateFamily::kQwen3Thinking}) {
    if (name == to_string(family)) return family;
  }
  return TemplateFamily::kQwen3;  // the embedded model's template as well
}

TEST(ChatTemplate, MatchesJinjaOnRandomConversations) {
  std::map<std::string, int> seen;
  for (const Case& item : read_cases(source_path("tests/golden/text/chat_cases.jsonl"))) {
    auto request = parse_chat_request(item.text);
    ASSERT_TRUE(request.ok()) << request.error().message;
    ++seen[item.family];
    if (item.family == "tiny") request->enable_thinking = false;
    expect_rendering(family_named(item.family), *request, item);
  }
  EXPECT_GE(seen["qwen3"], 300);
  EXPECT_GE(seen["tiny"], 50);
  EXPECT_GE(seen["llama3"], 50);
  EXPECT_GE(seen["llama3.1"], 150);  // with tools, by the templates of 3.1 and 3.2
  EXPECT_GE(seen["qwen3-coder"], 75);
  EXPECT_GE(seen["qwen3-thinking"], 75);
}

// Qwen3's own, where nothing speaks of thinking.
TEST(ChatTemplate, WithoutThinkingNothingIsAddedOrTakenAway) {
  ChatRequest request;
  request.messages = {{"user", "U", {}, {}}, {"assistant", "<think>\nhm\n</think>\n\nA", {}, {}}};
  request.enable_thinking = false;
  EXPECT_EQ(render_chat(TemplateFamily::kQwen3Instruct, request).value(),
            "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nA<|im_end|>\n"
            "<|im_start|>assistant\n");
}

// The template of Llama-3.1 refuses a second call; its models write several like this.
TEST(ChatTemplate, SeveralCallsOfLlamaAreJoined) {
  ChatRequest request;
  request.messages = {{"user", "U", {}, {}}, {"assistant", "", {}, {{"f", "{\"x\": 1}"}, {"g", "{}"}}}};
  request.add_generation_prompt = false;
  EXPECT_THAT(
      render_chat(TemplateFamily::kLlama31, request).value(),
      ::testing::EndsWith("assistant<|end_header_id|>\n\n{\"name\": \"f\", \"parameters\": {\"x\": 1}}; "
                          "{\"name\": \"g\", \"parameters\": {}}<|eot_id|>"));
  request.tools_json = {"{}"};
  request.messages = {{"system", "S", {}, {}}};
  EXPECT_THAT(render_chat(TemplateFamily::kLlama31, request).error().message, HasSubstr("one of the user"));
}

TEST(ChatTemplate, CoderTakesArgumentsInAString) {
  ChatRequest request;
  request.messages = {{"user", "U", {}, {}}, {"assistant", "", {}, {{"f", R"("{\"x\": [1, true]}")"}}}};
  request.add_generation_prompt = false;
  EXPECT_THAT(render_chat(TemplateFamily::kQwen3Coder, request).value(),
              HasSubstr("<function=f>\n<parameter=x>\n[1, true]\n</parameter>\n</function>"));
  request.messages[1].tool_calls[0].arguments_json = "[1]";
  EXPECT_THAT(render_chat(TemplateFamily::kQwen3Coder, request).error().message, HasSubstr("tool call f"));
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

std::unique_ptr<const Tokenizer> tokenizer_with(const std::vector<std::string>& tokens,
                                                const std::string& chat_template = "") {
  formats::TokenizerFile file;
  file.chat_template = chat_template;
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

std::string family_of(const std::vector<std::string>& tokens, const std::string& chat_template = "",
                      const std::string& tool_format = "") {
  const auto family = detect_template(*tokenizer_with(tokens, chat_template), tool_format);
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

// Words of the published templates.
TEST(ChatTemplate, FamilyFollowsFromTheModelsOwnTemplate) {
  const std::vector<std::string> qwen = {"<|im_start|>", "<|im_end|>", "<think>"};
  const std::string calls = "<tool_call>\\n{ ... </tool_call> <tool_response>";
  EXPECT_EQ(family_of(qwen, calls + "{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined"),
            "qwen3");
  EXPECT_EQ(family_of(qwen, calls + "'</think>' {{- '<|im_start|>assistant\\n<think>\\n' }}"),
            "qwen3-thinking");
  EXPECT_EQ(family_of(qwen, calls + "'</think>' {{- '<|im_start|>assistant\n<think>\n' }}"),
            "qwen3-thinking");
  EXPECT_EQ(family_of(qwen, calls + "{{- '<|im_start|>assistant\\n' }}"), "qwen3-instruct");
  EXPECT_EQ(family_of(qwen, "<tool_call>\\n<function=' + name + '>\\n ... '<parameter=' + args_name"),
            "qwen3-coder");
  EXPECT_EQ(family_of({"<|im_start|>", "<|im_end|>"}, "<function= <parameter="), "qwen3-coder");

  const std::vector<std::string> llama = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
  EXPECT_EQ(family_of(llama, "{{- '\"parameters\": ' }} message.role == \"ipython\""), "llama3.1");
  EXPECT_EQ(family_of(llama, "{% for message in loop_messages %}"), "llama3");
  const std::vector<std::string> newer = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                                          "<|python_tag|>"};
  EXPECT_EQ(family_of(newer), "llama3.1");
  EXPECT_EQ(family_of(newer, "{% for message in loop_messages %}"), "llama3");
}

TEST(ChatTemplate, AToolFormatChoosesAmongWhatTheTokensAllow) {
  const std::vector<std::string> qwen = {"<|im_start|>", "<|im_end|>", "<think>"},
                                 plain = {"<|im_start|>", "<|im_end|>"},
                                 llama = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
  EXPECT_EQ(family_of(qwen, "", "auto"), "qwen3");
  EXPECT_EQ(family_of(qwen, "", "qwen3-coder"), "qwen3-coder");
  EXPECT_EQ(family_of(qwen, "<function= <parameter=", "qwen3"), "qwen3");
  EXPECT_EQ(family_of(plain, "", "qwen3"), "qwen3-instruct");
  EXPECT_EQ(family_of(llama, "", "llama3"), "llama3.1");
  EXPECT_THAT(family_of(llama, "", "qwen3"), HasSubstr("found \"qwen3\", expected auto or llama3"));
  EXPECT_THAT(family_of(qwen, "", "llama3"),
              HasSubstr("found \"llama3\", expected auto, qwen3 or qwen3-coder"));
  EXPECT_THAT(family_of(qwen, "", "hermes"), HasSubstr("found \"hermes\""));
}

}  // namespace
}  // namespace kakeya::text
