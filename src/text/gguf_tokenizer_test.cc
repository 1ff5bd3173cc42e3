// A tokenizer kept in GGUF metadata gives the ids of its tokenizer.json: published vectors for Qwen's, and
// Hugging Face's library on our small Llama-style one. The metadata are laid out as llama.cpp's converter
// writes them: one text and type per id, added tokens among them, filled up to the rows of the embedding.
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/gguf_test_support.h"
#include "formats/gguf_tokenizer.h"
#include "text/chat_template.h"
#include "text/test_data.h"
#include "text/tokenizer.h"

namespace kakeya::text {
namespace {

using formats::GgufBytes;

// What llama.cpp's converter makes of tokenizer.json; `rows` tokens in all.
GgufBytes converted(const formats::TokenizerFile& file, const std::string& pre, std::size_t rows) {
  std::vector<std::string> tokens(rows), merges;
  std::vector<std::int32_t> types(rows, 1);
  for (std::size_t i = 0; i < rows; ++i) {
    if (i < file.vocab.size() && !file.vocab[i].empty()) {
      tokens[i] = file.vocab[i];
    } else {
      tokens[i] = "[PAD" + std::to_string(i) + "]";
      types[i] = 5;
    }
  }
  for (const formats::AddedToken& added : file.added) {
    const auto id = static_cast<std::size_t>(added.id);
    const bool looks_special = added.content.starts_with("<|") && added.content.ends_with("|>");
    tokens[id] = added.content;
    types[id] = added.special || looks_special ? 3 : 4;
  }
  for (const auto& [left, right] : file.merges) merges.push_back(left + " " + right);
  GgufBytes out;
  out.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", pre);
  out.strings("tokenizer.ggml.tokens", tokens).list("tokenizer.ggml.token_type", 5, types);
  out.strings("tokenizer.ggml.merges", merges);
  return out;
}

Result<formats::TokenizerFile> read(const GgufBytes& bytes) {
  const std::string file_bytes = bytes.build();
  const auto file = formats::parse_gguf("x.gguf", formats::as_span(file_bytes));
  if (!file.ok()) return file.error();
  return formats::gguf_tokenizer(*file);
}

std::unique_ptr<Tokenizer> open(const GgufBytes& bytes) {
  auto file = read(bytes);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return nullptr;
  auto tokenizer = Tokenizer::create(std::move(file).value());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

// `left_out`: texts with one of these in them are not looked at.
void check_vectors(const Tokenizer& tokenizer, const std::string& path, std::size_t at_least,
                   const std::vector<std::string>& left_out = {}) {
  std::size_t checked = 0;
  for (const auto& vector : read_jsonl(path)) {
    const auto text = vector.at("text").get<std::string>();
    if (std::any_of(left_out.begin(), left_out.end(),
                    [&](const std::string& part) { return text.find(part) != std::string::npos; })) {
      continue;
    }
    const auto ids = tokenizer.encode(text, vector.value("parse_special", true));
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(*ids, vector.at("ids").get<std::vector<Token>>()) << nlohmann::json(text).dump(-1, ' ', true);
    ++checked;
  }
  EXPECT_GE(checked, at_least);
}

TEST(GgufTokenizer, QwenGivesThePublishedIds) {
  const std::string directory = shared_path("data/tokenizers/qwen");
  if (!exists(directory + "/vectors.jsonl")) GTEST_SKIP() << directory << "/vectors.jsonl is missing";
  const auto json = formats::load_tokenizer_file(directory);
  ASSERT_TRUE(json.ok()) << json.error().message;
  GgufBytes bytes = converted(*json, "qwen2", 151936);
  bytes.u32("tokenizer.ggml.bos_token_id", 151643).u32("tokenizer.ggml.eos_token_id", 151645);
  bytes.boolean("tokenizer.ggml.add_bos_token", false).string("tokenizer.chat_template", "{{ x }}");
  const auto tokenizer = open(bytes);
  ASSERT_NE(tokenizer, nullptr);
  check_vectors(*tokenizer, directory + "/vectors.jsonl", 51);
  check_vectors(*tokenizer, directory + "/vectors-derived.jsonl", 200);
  EXPECT_EQ(tokenizer->vocab_size(), 151669u);
  EXPECT_FALSE(tokenizer->bos().has_value());
  EXPECT_EQ(tokenizer->file().eos_token, "<|im_end|>");
  EXPECT_EQ(tokenizer->file().chat_template, "{{ x }}");
  for (const formats::AddedToken& added : json->added) {
    EXPECT_EQ(tokenizer->is_special(added.id), added.special) << added.content;
  }
  const auto family = detect_template(*tokenizer);
  ASSERT_TRUE(family.ok()) << family.error().message;
  EXPECT_EQ(*family, TemplateFamily::kQwen3);
}

TEST(GgufTokenizer, LlamaStyleGivesHuggingFacesIds) {
  const auto json = formats::load_tokenizer_file(source_path("tests/golden/text/llama_style"));
  ASSERT_TRUE(json.ok()) << json.error().message;
  std::size_t rows = json->vocab.size();
  Token bos = -1;
  // Tokens with flags that GGUF has no place for (lstrip, single_word, ...); no published model has them.
  std::vector<std::string> with_flags;
  for (const formats::AddedToken& added : json->added) {
    rows = std::max(rows, static_cast<std::size_t>(added.id) + 1);
    if (added.content == json->bos_token) bos = added.id;
    if (added.lstrip || added.rstrip || added.single_word || added.normalized) {
      with_flags.push_back(added.content);
    }
  }
  ASSERT_GE(bos, 0);
  // Older converters did not write add_bos_token: llama.cpp's default for this kind is yes.
  GgufBytes bytes = converted(*json, "llama-bpe", rows);
  const auto tokenizer = open(bytes.u32("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(bos)));
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->bos(), bos);
  check_vectors(*tokenizer, source_path("tests/golden/text/llama_style.jsonl"), 200, with_flags);
}

GgufBytes small(const std::string& model, const std::string& pre) {
  GgufBytes out;
  out.string("tokenizer.ggml.model", model).string("tokenizer.ggml.pre", pre);
  return out.strings("tokenizer.ggml.tokens", {"a", "b", "<x>"});
}

void expect_refused(const GgufBytes& bytes, const std::string& key, const std::string& found,
                    ErrorCode code) {
  const auto file = read(bytes);
  ASSERT_FALSE(file.ok()) << key;
  EXPECT_EQ(file.error().code, code) << file.error().message;
  for (const std::string& part : {std::string("x.gguf"), key, found}) {
    EXPECT_NE(file.error().message.find(part), std::string::npos) << part << ": " << file.error().message;
  }
}

TEST(GgufTokenizer, OtherKindsAreRefusedByName) {
  expect_refused(small("llama", "default"), "tokenizer.ggml.model", "llama", ErrorCode::kUnsupported);
  expect_refused(small("gpt2", "deepseek-llm"), "tokenizer.ggml.pre", "\"qwen2\"", ErrorCode::kUnsupported);
  expect_refused(GgufBytes().string("tokenizer.ggml.model", "gpt2"), "tokenizer.ggml.pre", "nothing",
                 ErrorCode::kCorruptData);
  expect_refused(GgufBytes(), "tokenizer.ggml.model", "no tokenizer", ErrorCode::kNotFound);
  expect_refused(small("gpt2", "qwen2").boolean("tokenizer.ggml.add_eos_token", true),
                 "tokenizer.ggml.add_eos_token", "true", ErrorCode::kUnsupported);
}

TEST(GgufTokenizer, ListsThatContradictEachOtherAreNamed) {
  const auto base = [] { return small("gpt2", "qwen2"); };
  const auto types = [&](const std::vector<std::int32_t>& list) {
    return base().list<std::int32_t>("tokenizer.ggml.token_type", 5, list);
  };
  expect_refused(types({1, 1}), "token_type", "2", ErrorCode::kCorruptData);
  expect_refused(types({1, 1, 6}), "token_type[2]", "6", ErrorCode::kUnsupported);
  expect_refused(types({1, 1, -1}), "token_type[2]", "-1", ErrorCode::kUnsupported);
  expect_refused(base(), "tokenizer.ggml.merges", "nothing", ErrorCode::kCorruptData);
  expect_refused(base().strings("tokenizer.ggml.merges", {"a b", "ab"}), "merges[1]", "ab",
                 ErrorCode::kCorruptData);
  expect_refused(base().strings("tokenizer.ggml.merges", {"a b c"}), "merges[0]", "a b c",
                 ErrorCode::kCorruptData);
  expect_refused(base().strings("tokenizer.ggml.merges", {}).u32("tokenizer.ggml.eos_token_id", 3),
                 "eos_token_id", "3", ErrorCode::kCorruptData);
}

}  // namespace
}  // namespace kakeya::text
