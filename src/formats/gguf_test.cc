// The container: what is accepted, and that every lie in it is an error that names the place.
#include "formats/gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "formats/gguf_test_support.h"

namespace kakeya::formats {
namespace {

using Bytes = GgufBytes;

std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kCorruptData) {
  const auto file = parse_gguf("x.gguf", as_span(bytes));
  EXPECT_FALSE(file.ok());
  if (file.ok()) return "";
  EXPECT_EQ(file.error().code, code) << file.error().message;
  EXPECT_NE(file.error().message.find("x.gguf"), std::string::npos);
  return file.error().message;
}

testing::AssertionResult mentions(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (message.find(part) == std::string::npos) {
      return testing::AssertionFailure() << '"' << part << "\" is not in: " << message;
    }
  }
  return testing::AssertionSuccess();
}

// One matrix of 2 rows of 32 in Q8_0: 2 * 34 bytes.
Bytes one_tensor() {
  return Bytes().string("general.architecture", "qwen3").next_tensor("t", {32, 2}, 8, 68);
}

TEST(Gguf, EveryKindOfValueIsRead) {
  Bytes bytes;
  bytes.meta("u8", 0, Bytes::raw<std::uint8_t>(200)).meta("i8", 1, Bytes::raw<std::int8_t>(-3));
  bytes.meta("u16", 2, Bytes::raw<std::uint16_t>(60000)).meta("i16", 3, Bytes::raw<std::int16_t>(-3));
  bytes.u32("u32", 7).meta("i32", 5, Bytes::raw<std::int32_t>(-7)).f32("f32", 0.5f).boolean("yes", true);
  bytes.string("text", "h\xc3\xa9").meta("u64", 10, Bytes::raw<std::uint64_t>(1));
  bytes.meta("i64", 11, Bytes::raw<std::int64_t>(-1)).meta("f64", 12, Bytes::raw(0.25));
  bytes.strings("words", {"a", "", "ccc"}).list<std::int16_t>("shorts", 3, {-1, 2});
  bytes.meta("nested", 9,
             Bytes::raw<std::uint32_t>(9) + Bytes::raw<std::uint64_t>(1) + Bytes::raw<std::uint32_t>(4) +
                 Bytes::raw<std::uint64_t>(1) + Bytes::raw<std::uint32_t>(5));
  const std::string file_bytes = bytes.build();
  const auto file = parse_gguf("x.gguf", as_span(file_bytes));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata.size(), 15u);
  EXPECT_EQ(text_of(*file->find("text")), "h\xc3\xa9");
  EXPECT_EQ(string_items(*file->find("words")), (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(integer_items(*file->find("shorts")), (std::vector<std::int64_t>{-1, 2}));
  EXPECT_EQ(file->find("nested")->bytes.size(), 16u);
  EXPECT_EQ(file->find("none"), nullptr);
}

TEST(Gguf, TensorsOfBothVersionsAreViewsWithTheirShapesReversed) {
  for (const std::uint32_t version : {2u, 3u}) {
    Bytes bytes = one_tensor();
    bytes.version = version;
    bytes.next_tensor("v", {3}, 0, 12).next_tensor("old", {32, 1, 2}, 3, 40);
    bytes.data = "first";
    const std::string file_bytes = bytes.build();
    const auto file = parse_gguf("x.gguf", as_span(file_bytes));
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_EQ(file->tensors.size(), 3u);
    const GgufTensor& t = file->tensors[0];
    EXPECT_EQ(t.dtype, Dtype::kQ8_0);
    EXPECT_EQ(t.shape, (std::vector<std::uint64_t>{2, 32}));
    EXPECT_EQ(t.bytes.size(), 68u);
    EXPECT_EQ(std::memcmp(t.bytes.data(), "first", 5), 0);
    EXPECT_EQ(file->tensor("v")->bytes.size(), 12u);
    EXPECT_EQ(file->tensor("old")->dtype, Dtype::kOther);
    EXPECT_STREQ(file->tensor("old")->type_name, "Q4_1");
    EXPECT_EQ(file->tensor("old")->shape, (std::vector<std::uint64_t>{2, 1, 32}));
  }
}

TEST(Gguf, AnotherAlignmentMovesTheData) {
  Bytes bytes;
  bytes.u32("general.alignment", 128).tensor("a", {4}, 0, 0, 16).tensor("b", {4}, 0, 128, 16);
  const std::string right = bytes.build(128);
  const auto file = parse_gguf("x.gguf", as_span(right));
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->tensor("a")->bytes.data() - as_span(right).data(),
            static_cast<std::ptrdiff_t>(right.size()) - 144);
  Bytes odd;
  odd.u32("general.alignment", 48);
  EXPECT_TRUE(mentions(error_of(odd.build()), {"general.alignment", "48", "power of two"}));
  Bytes zero;
  zero.u32("general.alignment", 0);
  EXPECT_TRUE(mentions(error_of(zero.build()), {"general.alignment"}));
}

TEST(Gguf, OtherKindsOfFileAreRefusedByName) {
  Bytes bytes = one_tensor();
  bytes.version = 1;
  EXPECT_TRUE(mentions(error_of(bytes.build(), ErrorCode::kUnsupported), {"version", "1", "2 or 3"}));
  bytes.version = 0x03000000;
  EXPECT_TRUE(mentions(error_of(bytes.build(), ErrorCode::kUnsupported), {"big-endian"}));
  bytes.version = 9;
  EXPECT_TRUE(mentions(error_of(bytes.build()), {"version", "9"}));
  bytes.version = 3;
  bytes.magic = "GGML";
  EXPECT_TRUE(mentions(error_of(bytes.build()), {"magic"}));
  Bytes gone;
  gone.next_tensor("t", {32}, 31, 18);
  EXPECT_TRUE(mentions(error_of(gone.build(), ErrorCode::kUnsupported), {"\"t\"", "Q4_0_4_4"}));
}

TEST(Gguf, CutAnywhereItIsAnError) {
  Bytes bytes = one_tensor();
  bytes.strings("words", {"a", "b"}).boolean("yes", true);
  const std::string whole = bytes.build();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::string cut = whole.substr(0, n);
    ASSERT_FALSE(parse_gguf("x.gguf", as_span(cut)).ok()) << n;
  }
  EXPECT_TRUE(parse_gguf("x.gguf", as_span(whole)).ok());
}

TEST(Gguf, ImpossibleCountsAreErrorsBeforeAnythingIsAllocated) {
  Bytes bytes;
  bytes.metadata_count = 1ull << 60;
  EXPECT_TRUE(mentions(error_of(bytes.build()), {"number of metadata values"}));
  Bytes tensors;
  tensors.tensor_count = 1ull << 60;
  EXPECT_TRUE(mentions(error_of(tensors.build()), {"number of tensors"}));
  for (const std::uint32_t element : {0u, 7u, 8u, 9u, 12u}) {
    Bytes list;
    list.meta("many", 9, Bytes::raw(element) + Bytes::raw<std::uint64_t>(1ull << 61));
    EXPECT_TRUE(mentions(error_of(list.build()), {"many"})) << element;
  }
  Bytes text;
  text.meta("long", 8, Bytes::raw<std::uint64_t>(~0ull));
  EXPECT_TRUE(mentions(error_of(text.build()), {"long"}));
}

TEST(Gguf, BadValuesAreNamed) {
  EXPECT_TRUE(mentions(error_of(Bytes().meta("k", 13, "").build()), {"\"k\"", "13", "0 to 12"}));
  EXPECT_TRUE(mentions(error_of(Bytes().meta("k", 7, "\x02").build()), {"\"k\"", "2", "0 or 1"}));
  EXPECT_TRUE(mentions(error_of(Bytes().u32("k", 1).u32("k", 2).build()), {"\"k\"", "twice"}));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += Bytes::raw<std::uint32_t>(9) + Bytes::raw<std::uint64_t>(1);
  EXPECT_TRUE(mentions(error_of(Bytes().meta("k", 9, deep).build()), {"\"k\"", "arrays inside arrays"}));
}

TEST(Gguf, TensorsThatCannotBeAreNamed) {
  EXPECT_TRUE(
      mentions(error_of(Bytes().next_tensor("t", {32}, 0, 128).next_tensor("t", {32}, 0, 128).build()),
               {"\"t\"", "twice"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {31}, 8, 0, 34).build()), {"\"t\"", "31", "32", "Q8_0"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {32}, 99, 0, 34).build()), {"\"t\"", "type", "99"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {8}, 0, 8, 32).build()), {"\"t\"", "offset", "8", "32"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {}, 0, 0, 4).build()), {"\"t\"", "dimensions", "0"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {1, 1, 1, 1, 1}, 0, 0, 4).build()), {"dimensions", "5"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {0}, 0, 0, 4).build()), {"\"t\"", "shape"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {1ull << 40, 1ull << 40}, 0, 0, 4).build()), {"shape"}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("t", {1ull << 62}, 0, 0, 4).build()), {"\"t\""}));
  EXPECT_TRUE(mentions(error_of(Bytes().tensor("a", {16}, 0, 0, 64).tensor("b", {8}, 0, 32, 32).build()),
                       {"\"b\"", "\"a\"", "overlap"}));
  Bytes beyond;
  beyond.tensor("t", {8}, 0, 0, 32).tensor("far", {8}, 0, ~0ull - 31, 0);
  beyond.data_bytes = 32;
  EXPECT_TRUE(mentions(error_of(beyond.build()), {"\"far\"", "offset"}));
}

class GgufFileOnDisk : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(directory_);
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("kakeya_gguf_" + std::to_string(::getpid()));
};

TEST_F(GgufFileOnDisk, IsRecognisedByItsFirstBytesOrItsName) {
  EXPECT_TRUE(is_gguf_file(write("plain", one_tensor().build())));
  EXPECT_TRUE(is_gguf_file(write("damaged.gguf", "xx")));
  EXPECT_FALSE(is_gguf_file(write("other", "{}")));
  EXPECT_FALSE(is_gguf_file(directory_.string()));
  EXPECT_FALSE(is_gguf_file((directory_ / "none.gguf").string()));
}

TEST_F(GgufFileOnDisk, TensorsAppearUnderHuggingFaceNames) {
  Bytes bytes = Bytes().string("general.architecture", "llama");
  bytes.next_tensor("blk.1.attn_q.weight", {32, 2}, 8, 68).next_tensor("token_embd.weight", {32, 2}, 8, 68);
  bytes.next_tensor("rope_freqs.weight", {4}, 0, 16);
  const std::string path = write("m.gguf", bytes.build());
  const auto store = TensorStore::open(path);
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(store->tensors().size(), 2u);
  const TensorView* q = store->find("model.layers.1.self_attn.q_proj.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(q->paired_rows);
  EXPECT_EQ(q->shape, (std::vector<std::uint64_t>{2, 32}));
  ASSERT_NE(store->find("model.embed_tokens.weight"), nullptr);
  EXPECT_FALSE(store->find("model.embed_tokens.weight")->paired_rows);
  EXPECT_EQ(store->files(), std::vector<std::string>{path});
}

TEST_F(GgufFileOnDisk, TensorsOfUnknownMeaningAreRefused) {
  for (const char* name :
       {"blk.0.attn_q.bias", "blk.0.attn_sinks.weight", "model.embed_tokens.weight", "d2t"}) {
    Bytes bytes = Bytes().string("general.architecture", "qwen3");
    const auto store = TensorStore::open(write("m.gguf", bytes.next_tensor(name, {32}, 8, 34).build()));
    ASSERT_FALSE(store.ok()) << name;
    EXPECT_EQ(store.error().code, ErrorCode::kUnsupported);
    EXPECT_TRUE(mentions(store.error().message, {"m.gguf", name}));
  }
  Bytes draft = Bytes().string("general.architecture", "dflash");
  const auto store =
      TensorStore::open(write("d.gguf", draft.next_tensor("token_embd.weight", {32}, 8, 34).build()));
  ASSERT_FALSE(store.ok());
  EXPECT_TRUE(mentions(store.error().message, {"token_embd.weight", "target"}));
}

}  // namespace
}  // namespace kakeya::formats
