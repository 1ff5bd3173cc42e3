// Tokenizer files in the layouts that models ship, and broken in every way we could name.
#include "formats/tokenizer_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/gzip.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// The layout of Qwen3's tokenizer.json with a vocabulary of four.
json qwen_layout() {
  return json::parse(R"({"version":"1.0","truncation":null,"padding":null,
    "added_tokens":[{"id":4,"content":"<|im_end|>","single_word":false,"lstrip":false,"rstrip":false,
                     "normalized":false,"special":true}],
    "normalizer":{"type":"NFC"},
    "pre_tokenizer":{"type":"Sequence","pretokenizers":[
      {"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Isolated","invert":false},
      {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]},
    "post_processor":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false},
    "decoder":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false},
    "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"",
             "fuse_unk":false,"byte_fallback":false,"ignore_merges":false,
             "vocab":{"a":0,"b":1,"ab":2,"abb":3},"merges":["a b","ab b"]}})");
}

// What Llama-3 has instead.
json llama_layout() {
  json layout = qwen_layout();
  layout["normalizer"] = nullptr;
  layout["model"]["ignore_merges"] = true;
  layout["model"]["merges"] = json::parse(R"([["a","b"],["ab","b"]])");
  layout["post_processor"] = json::parse(R"({"type":"Sequence","processors":[
    {"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true},
    {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|begin_of_text|>","type_id":0}},
      {"Sequence":{"id":"A","type_id":0}}],"pair":[],
     "special_tokens":{"<|begin_of_text|>":{"id":"<|begin_of_text|>","ids":[5],"tokens":["<|begin_of_text|>"]}}}]})");
  return layout;
}

TokenizerFile accept(const json& layout) {
  const auto file = parse_tokenizer_file("tokenizer.json", layout.dump());
  EXPECT_TRUE(file.ok()) << file.error().message;
  return file.ok() ? file.value() : TokenizerFile{};
}

Error refuse(const std::string& text) {
  const auto file = parse_tokenizer_file("dir/tokenizer.json", text);
  EXPECT_FALSE(file.ok()) << text.substr(0, 200);
  return file.ok() ? Error{ErrorCode::kIo, ""} : file.error();
}

TEST(TokenizerFile, ReadsTheQwenLayout) {
  const TokenizerFile file = accept(qwen_layout());
  EXPECT_THAT(file.vocab, ElementsAre("a", "b", "ab", "abb"));
  EXPECT_THAT(file.merges, ElementsAre(Pair("a", "b"), Pair("ab", "b")));
  ASSERT_THAT(file.added, SizeIs(1));
  EXPECT_EQ(file.added[0].content, "<|im_end|>");
  EXPECT_TRUE(file.added[0].special);
  EXPECT_THAT(file.split_regexes, ElementsAre("\\p{N}"));
  EXPECT_TRUE(file.nfc);
  EXPECT_FALSE(file.ignore_merges);
  EXPECT_FALSE(file.add_prefix_space);
  EXPECT_FALSE(file.add_bos_token);
}

TEST(TokenizerFile, ReadsTheLlama3Layout) {
  const TokenizerFile file = accept(llama_layout());
  EXPECT_THAT(file.merges, ElementsAre(Pair("a", "b"), Pair("ab", "b")));
  EXPECT_FALSE(file.nfc);
  EXPECT_TRUE(file.ignore_merges);
  EXPECT_TRUE(file.add_bos_token);
  EXPECT_EQ(file.bos_token, "<|begin_of_text|>");
}

TEST(TokenizerFile, ReadsTheGpt2Layout) {
  json layout = qwen_layout();
  layout["normalizer"] = nullptr;
  layout["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  const TokenizerFile file = accept(layout);
  EXPECT_TRUE(file.add_prefix_space);
  EXPECT_THAT(file.split_regexes, SizeIs(1));  // use_regex is the default
}

TEST(TokenizerFile, EscapesLiteralPatterns) {
  json layout = qwen_layout();
  layout["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"String", "a.[é"}};
  EXPECT_THAT(accept(layout).split_regexes, ElementsAre("a\\.\\[é"));
}

// A change at a JSON pointer, and a piece of the message it must give.
struct Damage {
  const char* pointer;
  const char* value;
  const char* expected;
};
void PrintTo(const Damage& damage, std::ostream* os) { *os << damage.pointer << " = " << damage.value; }

class TokenizerFileDamage : public ::testing::TestWithParam<Damage> {};

TEST_P(TokenizerFileDamage, IsRefusedNamingTheKey) {
  json layout = llama_layout();
  layout[json::json_pointer(GetParam().pointer)] = json::parse(GetParam().value);
  const Error error = refuse(layout.dump());
  EXPECT_THAT(error.message, HasSubstr("dir/tokenizer.json"));
  EXPECT_THAT(error.message, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    All, TokenizerFileDamage,
    ::testing::Values(
        Damage{"/model", "null", "\"model\""}, Damage{"/model", "[]", "\"model\""},
        Damage{"/model/type", "\"Unigram\"", "\"BPE\""}, Damage{"/model/type", "null", "model.type"},
        Damage{"/model/byte_fallback", "true", "byte_fallback"}, Damage{"/model/dropout", "0.1", "dropout"},
        Damage{"/model/continuing_subword_prefix", "\"##\"", "continuing_subword_prefix"},
        Damage{"/model/end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
        Damage{"/model/ignore_merges", "1", "ignore_merges"}, Damage{"/model/vocab", "{}", "model.vocab"},
        Damage{"/model/vocab", "[\"a\"]", "model.vocab"}, Damage{"/model/vocab/a", "-1", "model.vocab.a"},
        Damage{"/model/vocab/a", "1.5", "model.vocab.a"}, Damage{"/model/vocab/a", "\"0\"", "model.vocab.a"},
        Damage{"/model/vocab/a", "1", "again"}, Damage{"/model/vocab/a", "4000000000", "model.vocab.a"},
        Damage{"/model/vocab/a", "100000", "from 0 to 65599"}, Damage{"/model/vocab", R"({"":0})", "0 bytes"},
        Damage{"/model/merges", "{}", "model.merges"}, Damage{"/model/merges", "[\"ab\"]", "model.merges[0]"},
        Damage{"/model/merges", "[\"a b\",\" b\"]", "model.merges[1]"},
        Damage{"/model/merges", "[\"a \"]", "model.merges[0]"},
        Damage{"/model/merges", "[\"a b c\"]", "model.merges[0]"},
        Damage{"/model/merges", "[[\"a\"]]", "model.merges[0]"},
        Damage{"/model/merges", "[[\"a\",1]]", "model.merges[0]"},
        Damage{"/model/merges", "[7]", "model.merges[0]"}, Damage{"/added_tokens", "{}", "added_tokens"},
        Damage{"/added_tokens/0", "3", "added_tokens[0]"},
        Damage{"/added_tokens/0/id", "-1", "added_tokens[0].id"},
        Damage{"/added_tokens/0/id", "99999999999", "added_tokens[0].id"},
        Damage{"/added_tokens/0/id", "null", "added_tokens[0].id"},
        Damage{"/added_tokens/0/content", "\"\"", "added_tokens[0].content"},
        Damage{"/added_tokens/0/content", "5", "added_tokens[0].content"},
        Damage{"/added_tokens/0/special", "\"yes\"", "added_tokens[0].special"},
        Damage{"/added_tokens/1", R"({"id":4,"content":"x"})", "again"},
        Damage{"/added_tokens/1", R"({"id":5,"content":"<|im_end|>"})", "again"},
        Damage{"/normalizer", R"({"type":"Lowercase"})", "Lowercase"},
        Damage{"/normalizer", "[]", "normalizer"},
        Damage{"/normalizer", R"({"type":"Sequence","normalizers":[{"type":"Prepend"}]})", "Prepend"},
        Damage{"/normalizer", R"({"type":"Sequence","normalizers":7})", "normalizers"},
        Damage{"/pre_tokenizer", "null", "ByteLevel"},
        Damage{"/pre_tokenizer", R"({"type":"Whitespace"})", "Whitespace"},
        Damage{"/pre_tokenizer/pretokenizers/0/behavior", "\"Removed\"", "Isolated"},
        Damage{"/pre_tokenizer/pretokenizers/0/invert", "true", "invert"},
        Damage{"/pre_tokenizer/pretokenizers/0/pattern", "\"x\"", "pattern"},
        Damage{"/pre_tokenizer/pretokenizers/0/pattern", R"({"Regex":7})", "pattern"},
        Damage{"/pre_tokenizer/pretokenizers/0/pattern", R"({"Regex":""})", "pattern"},
        Damage{"/pre_tokenizer/pretokenizers/1/add_prefix_space", "true", "add_prefix_space"},
        Damage{"/pre_tokenizer/pretokenizers/2", R"({"type":"Digits"})", "Digits"},
        Damage{"/pre_tokenizer/pretokenizers/1", R"({"type":"Digits"})", "Digits"},
        Damage{"/post_processor", R"({"type":"BertProcessing"})", "BertProcessing"},
        Damage{"/post_processor/processors/1/single/2", R"({"SpecialToken":{"id":"</s>","type_id":0}})",
               "after the text"},
        Damage{"/post_processor/processors/1/single/0", R"({"SpecialToken":{"id":7}})", "single"},
        Damage{"/post_processor/processors/1/single", "null", "single"},
        Damage{"/decoder", R"({"type":"Metaspace"})", "Metaspace"}));

TEST(TokenizerFile, RefusesTextThatIsNoTokenizer) {
  for (const char* text : {"", "[]", "3", "{", "{}", "{\"model\":{}}", "\xff", "null"}) {
    EXPECT_THAT(refuse(text).message, HasSubstr("dir/tokenizer.json"));
  }
  EXPECT_THAT(refuse(std::string(1000000, '[')).message, HasSubstr("nests deeper"));
  EXPECT_THAT(refuse("[" + std::string(5000000, ',')).message, HasSubstr("more than 4194304 values"));
}

TEST(TokenizerFile, RefusesATextCutAnywhere) {
  const std::string text = llama_layout().dump();
  for (std::size_t n = 0; n < text.size(); ++n) refuse(text.substr(0, n));
}

class TokenizerFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 ("kakeya_tokenizer_" + std::to_string(::getpid()) + "_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
  }
  static std::string gzip(const std::string& text) {
    const std::string path =
        std::filesystem::temp_directory_path() / ("kakeya_gz_" + std::to_string(::getpid()));
    const gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    std::ifstream in(path, std::ios::binary);
    std::string out{std::istreambuf_iterator<char>(in), {}};
    std::filesystem::remove(path);
    return out;
  }
  std::filesystem::path directory_;
};

TEST_F(TokenizerFiles, ReadsDirectoriesFilesAndGzip) {
  EXPECT_EQ(load_tokenizer_file(directory_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_tokenizer_file(directory_ / "x.json").error().code, ErrorCode::kNotFound);
  write("tokenizer.json.gz", gzip(qwen_layout().dump()));
  const auto packed = load_tokenizer_file(directory_);
  ASSERT_TRUE(packed.ok()) << packed.error().message;
  EXPECT_THAT(packed->vocab, SizeIs(4));
  EXPECT_TRUE(load_tokenizer_file(directory_ / "tokenizer.json.gz").ok());
  write("tokenizer.json", llama_layout().dump());
  EXPECT_TRUE(load_tokenizer_file(directory_)->ignore_merges);  // the plain file comes first
}

TEST_F(TokenizerFiles, TokenizerConfigAddsTokensTemplateAndBos) {
  write("tokenizer.json", qwen_layout().dump());
  write("tokenizer_config.json", R"({"bos_token":{"content":"<s>","special":true},"eos_token":"<|im_end|>",
    "add_bos_token":true,"chat_template":"T","added_tokens_decoder":{"4":{"content":"<|im_end|>","special":true},
    "9":{"content":"<s>","special":true,"lstrip":true}}})");
  const auto file = load_tokenizer_file(directory_);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->bos_token, "<s>");
  EXPECT_EQ(file->eos_token, "<|im_end|>");
  EXPECT_TRUE(file->add_bos_token);
  EXPECT_EQ(file->chat_template, "T");
  ASSERT_THAT(file->added, SizeIs(2));
  EXPECT_EQ(file->added[1].id, 9);
  EXPECT_TRUE(file->added[1].lstrip);
}

TEST_F(TokenizerFiles, TakesTheDefaultOfNamedTemplatesOrTheJinjaFile) {
  write("tokenizer.json", qwen_layout().dump());
  write("tokenizer_config.json",
        R"({"chat_template":[{"name":"tool_use","template":"U"},{"name":"default","template":"D"}]})");
  EXPECT_EQ(load_tokenizer_file(directory_)->chat_template, "D");
  write("tokenizer_config.json", "{}");
  EXPECT_EQ(load_tokenizer_file(directory_)->chat_template, "");
  write("chat_template.jinja", "J");
  EXPECT_EQ(load_tokenizer_file(directory_)->chat_template, "J");
}

TEST_F(TokenizerFiles, AnExplicitAddBosTokenOverrulesTheTemplate) {
  write("tokenizer.json", llama_layout().dump());
  write("tokenizer_config.json", R"({"add_bos_token":false,"bos_token":null})");
  const auto file = load_tokenizer_file(directory_);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE(file->add_bos_token);
  EXPECT_EQ(file->bos_token, "<|begin_of_text|>");
}

TEST_F(TokenizerFiles, RefusesABrokenTokenizerConfig) {
  write("tokenizer.json", qwen_layout().dump());
  for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "not valid JSON"},
           {"[]", "expected an object"},
           {R"({"bos_token":7})", "bos_token"},
           {R"({"eos_token":{"content":7}})", "eos_token"},
           {R"({"add_bos_token":"yes"})", "add_bos_token"},
           {R"({"chat_template":7})", "chat_template"},
           {R"({"added_tokens_decoder":[]})", "added_tokens_decoder"},
           {R"({"added_tokens_decoder":{"x":{"content":"y"}}})", "added_tokens_decoder.x"},
           {R"({"added_tokens_decoder":{"-1":{"content":"y"}}})", "added_tokens_decoder.-1"},
           {R"({"added_tokens_decoder":{"99999999999999999999":{"content":"y"}}})", "added_tokens_decoder.9"},
           {R"({"added_tokens_decoder":{"7":7}})", "added_tokens_decoder.7"},
           {R"({"added_tokens_decoder":{"7":{}}})", "added_tokens_decoder.7.content"},
           {R"({"added_tokens_decoder":{"4":{"content":"other"}}})", "as in tokenizer.json"}}) {
    write("tokenizer_config.json", text);
    const auto file = load_tokenizer_file(directory_);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_THAT(file.error().message, HasSubstr("tokenizer_config.json"));
    EXPECT_THAT(file.error().message, HasSubstr(expected));
  }
}

TEST_F(TokenizerFiles, RefusesDamagedGzip) {
  const std::string good = gzip(qwen_layout().dump());
  for (std::size_t n = 2; n < good.size(); ++n) {
    EXPECT_FALSE(gunzip("f", std::string_view(good).substr(0, n), 1 << 20).ok()) << n;
  }
  std::string changed = good;
  changed[good.size() / 2] = static_cast<char>(changed[good.size() / 2] ^ 0x55);
  EXPECT_FALSE(gunzip("f", changed, 1 << 20).ok());
  EXPECT_THAT(gunzip("f", good + "x", 1 << 20).error().message, HasSubstr("behind the end"));
}

TEST_F(TokenizerFiles, AGzipBombStopsAtTheLimit) {
  const std::string bomb = gzip(std::string(8 << 20, ' '));
  EXPECT_LT(bomb.size(), 100000u);
  EXPECT_THAT(gunzip("f", bomb, 1 << 20).error().message, HasSubstr("limit of 1048576 bytes"));
  EXPECT_TRUE(gunzip("f", bomb, 8 << 20).ok());
}

}  // namespace
}  // namespace kakeya::formats
