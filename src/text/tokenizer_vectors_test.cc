// Ids that others computed: published vectors for Qwen's tokenizer, and Hugging Face's tokenizers library on
// our own small tokenizers (tools/golden/make_tokenizer_vectors.py).
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "text/test_data.h"
#include "text/tokenizer.h"

namespace kakeya::text {
namespace {

std::unique_ptr<Tokenizer> open(const std::string& path) {
  auto file = formats::load_tokenizer_file(path);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return nullptr;
  auto tokenizer = Tokenizer::create(std::move(file).value());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

// Every vector: text, parse_special, ids, and where it differs from the text, what the ids decode to.
void check_vectors(const Tokenizer& tokenizer, const std::string& path, std::size_t at_least) {
  std::size_t checked = 0;
  for (const auto& vector : read_jsonl(path)) {
    const auto text = vector.at("text").get<std::string>();
    const auto expected = vector.at("ids").get<std::vector<Token>>();
    const auto ids = tokenizer.encode(text, vector.value("parse_special", true));
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(ids.value(), expected) << path << ": " << nlohmann::json(text).dump(-1, ' ', true);
    if (vector.contains("decoded")) {
      EXPECT_EQ(tokenizer.decode(expected, false), vector.at("decoded").get<std::string>());
      EXPECT_EQ(tokenizer.decode(expected, true), vector.at("decoded_skip_special").get<std::string>());
    }
    ++checked;
  }
  EXPECT_GE(checked, at_least);
}

TEST(TokenizerVectors, QwenMatchesEveryPublishedVector) {
  const std::string directory = shared_path("data/tokenizers/qwen");
  if (!exists(directory + "/vectors.jsonl")) GTEST_SKIP() << directory << "/vectors.jsonl is missing";
  const auto tokenizer = open(directory);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 151669u);
  EXPECT_EQ(tokenizer->token_id("<|im_end|>"), 151645);
  EXPECT_TRUE(tokenizer->is_special(151645));
  EXPECT_FALSE(tokenizer->is_special(151667));  // <think>
  EXPECT_FALSE(tokenizer->bos().has_value());
  check_vectors(*tokenizer, directory + "/vectors.jsonl", 51);
  check_vectors(*tokenizer, directory + "/vectors-derived.jsonl", 200);
}

}  // namespace
}  // namespace kakeya::text
