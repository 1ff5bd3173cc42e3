// Chats as ids: what a message spells stays text, all else is as if the rendered text had been encoded.
#include "text/prompt_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "text/chat_template.h"
#include "text/test_data.h"
#include "text/tokenizer.h"

namespace kakeya::text {
namespace {

std::unique_ptr<Tokenizer> open(const std::string& path) {
  auto file = formats::load_tokenizer_file(path);
  if (!file.ok()) return nullptr;
  auto tokenizer = Tokenizer::create(std::move(file).value());
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

struct Vocabulary {
  std::string path;
  TemplateFamily family;
};

// The committed tokenizers, and Qwen's own where it lies beside the repository.
std::vector<Vocabulary> vocabularies() {
  std::vector<Vocabulary> out = {{source_path("tests/golden/text/llama_style"), TemplateFamily::kLlama3},
                                 {source_path("models/tiny/target"), TemplateFamily::kQwen3}};
  if (exists(shared_path("data/tokenizers/qwen"))) {
    out.push_back({shared_path("data/tokenizers/qwen"), TemplateFamily::kQwen3});
  }
  return out;
}

bool spells_special(const Tokenizer& tokenizer, const PromptText& prompt) {
  for (const formats::AddedToken& token : tokenizer.file().added) {
    if (!token.special) continue;
    for (const TextSpan span : prompt.given()) {
      if (prompt.text().substr(span.begin, span.end - span.begin).find(token.content) != std::string::npos)
        return true;
    }
  }
  return false;
}

TEST(PromptText, EncodesGoldenChatsAsTheirText) {
  for (const Vocabulary& vocabulary : vocabularies()) {
    const auto tokenizer = open(vocabulary.path);
    ASSERT_NE(tokenizer, nullptr) << vocabulary.path;
    std::size_t equal = 0;
    for (const auto& item : read_jsonl(source_path("tests/golden/text/chat_cases.jsonl"))) {
      if ((item.at("family") == "llama3") != (vocabulary.family == TemplateFamily::kLlama3)) continue;
      const auto request = parse_chat_request(item.dump());
      ASSERT_TRUE(request.ok());
      const auto prompt = render_prompt(vocabulary.family, *request);
      ASSERT_TRUE(prompt.ok());
      const auto ids = tokenizer->encode(*prompt);
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(tokenizer->decode(*ids, false),
                tokenizer->decode(*tokenizer->encode(prompt->text(), true), false));
      if (spells_special(*tokenizer, *prompt)) continue;
      EXPECT_EQ(*ids, *tokenizer->encode(prompt->text(), true)) << item.dump();
      ++equal;
    }
    EXPECT_GE(equal, 50u) << vocabulary.path;
  }
}

// Every place of a request that a caller fills.
ChatRequest hostile(const std::string& text, bool tools) {
  ChatRequest request;
  request.messages = {{"system", "s" + text, {}, {}}, {"user", text + "u", {}, {}}};
  if (tools) {
    const std::string json = nlohmann::json(text).dump();
    request.tools_json = {R"({"type":"function","function":{"name":"f","description":)" + json + "}}"};
    request.messages.push_back(
        {"assistant", "c" + text, "r" + text, {{"f" + text, R"({"x":)" + json + "}"}}});
    request.messages.push_back({"tool", text, {}, {}});
  }
  request.messages.push_back({"user", "end", {}, {}});
  return request;
}

TEST(PromptText, SpecialTokensOfMessagesAreOrdinaryText) {
  for (const Vocabulary& vocabulary : vocabularies()) {
    const auto tokenizer = open(vocabulary.path);
    ASSERT_NE(tokenizer, nullptr);
    const bool tools = vocabulary.family == TemplateFamily::kQwen3;
    const auto controls = [&](const std::string& text) {
      const auto prompt = render_prompt(vocabulary.family, hostile(text, tools));
      EXPECT_TRUE(prompt.ok());
      const auto ids = tokenizer->encode(*prompt);
      EXPECT_TRUE(ids.ok());
      EXPECT_EQ(tokenizer->decode(*ids, false), prompt->text());
      return std::count_if(ids->begin(), ids->end(), [&](Token id) { return tokenizer->is_special(id); });
    };
    const auto plain = controls("x");
    EXPECT_GE(plain, 6);
    for (const formats::AddedToken& token : tokenizer->file().added) {
      if (!token.special) continue;
      EXPECT_EQ(controls(token.content), plain) << token.content;
      EXPECT_EQ(controls(token.content + "\n" + token.content), plain) << token.content;
    }
  }
}

TEST(PromptText, AMessageCannotSwallowTheTemplatesTokens) {
  const auto tokenizer = open(source_path("models/tiny/target"));
  ASSERT_NE(tokenizer, nullptr);
  const Token end = *tokenizer->token_id("<|im_end|>");
  const std::string text = "<|im_end";
  for (std::size_t cut = 1; cut <= text.size(); ++cut) {
    PromptText prompt;
    prompt.own("<|im_start|>user\n").given(text.substr(0, cut)).own("<|im_end|>\n");
    const auto ids = tokenizer->encode(prompt);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(std::count(ids->begin(), ids->end(), end), 1);
    PromptText split;  // half of it the template's: what touches a message is no token
    split.own(text.substr(0, cut)).given(std::string("<|im_end|>").substr(cut));
    const auto none = tokenizer->encode(split);
    ASSERT_TRUE(none.ok());
    EXPECT_EQ(std::count(none->begin(), none->end(), end), 0);
  }
}

TEST(PromptText, RemembersGivenText) {
  PromptText prompt;
  prompt.own("a").given("bc").given("").given("d").own("").own("e").given("f");
  EXPECT_EQ(prompt.text(), "abcdef");
  ASSERT_EQ(prompt.given().size(), 2u);
  EXPECT_EQ(prompt.given()[0].begin, 1u);
  EXPECT_EQ(prompt.given()[0].end, 4u);
  EXPECT_EQ(prompt.given()[1].begin, 5u);
}

}  // namespace
}  // namespace kakeya::text
