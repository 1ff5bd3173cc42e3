// Ids that others computed: published vectors for Qwen's tokenizer, and Hugging Face's tokenizers library on
// our own small tokenizers (tools/golden/make_tokenizer_vectors.py).
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "base/sha256.h"
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

TEST(TokenizerVectors, LlamaStyleMatchesHuggingFace) {
  const auto tokenizer = open(source_path("tests/golden/text/llama_style"));
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_TRUE(tokenizer->file().ignore_merges);
  EXPECT_EQ(tokenizer->bos(), tokenizer->token_id("<|begin_of_text|>"));
  EXPECT_TRUE(tokenizer->bos().has_value());
  check_vectors(*tokenizer, source_path("tests/golden/text/llama_style.jsonl"), 400);
}

TEST(TokenizerVectors, TinyMatchesHuggingFace) {
  std::string directory = source_path("models/tiny/target");
  if (!exists(directory + "/tokenizer.json")) directory = shared_path("models/tiny/target");
  if (!exists(directory + "/tokenizer.json")) GTEST_SKIP() << directory << "/tokenizer.json is missing";
  const std::string bytes = read_text(directory + "/tokenizer.json");
  const std::string expected = read_text(source_path("tests/golden/text/tiny.sha256")).substr(0, 64);
  ASSERT_EQ(base::sha256_hex(bytes), expected)
      << "the embedded tokenizer has changed: run tools/golden/make_tokenizer_vectors.py";
  const auto tokenizer = open(directory);
  ASSERT_NE(tokenizer, nullptr);
  check_vectors(*tokenizer, source_path("tests/golden/text/tiny.jsonl"), 400);
}

// One tokenizer, several threads: a race shows as wrong ids here and as a report under the thread sanitizer.
TEST(TokenizerVectors, ThreadsShareOneTokenizer) {
  const auto tokenizer = open(source_path("tests/golden/text/llama_style"));
  ASSERT_NE(tokenizer, nullptr);
  const auto vectors = read_jsonl(source_path("tests/golden/text/llama_style.jsonl"));
  std::vector<std::size_t> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const auto& vector : vectors) {
        const auto ids = tokenizer->encode(vector.at("text").get<std::string>(), vector.at("parse_special"));
        if (!ids.ok() || ids.value() != vector.at("ids").get<std::vector<Token>>()) ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<std::size_t>(4, 0));
}

}  // namespace
}  // namespace kakeya::text
