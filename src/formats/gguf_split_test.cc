// Split models: read as the whole file is, and every way in which parts do not belong together. Keys, types
// and names as llama.cpp's gguf-split writes them (split.no u16 from 0, split.count u16, split.tensors.count
// i32; all other keys in the first part alone).
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "formats/gguf.h"
#include "formats/gguf_test_support.h"
#include "formats/safetensors.h"

namespace kakeya::formats {
namespace {

using Bytes = GgufBytes;

struct Split {
  std::uint16_t number, count;
  std::int32_t tensors;
};

Bytes part(const Split& split) {
  Bytes out;
  if (split.number == 0) out.string("general.architecture", "qwen3").string("general.name", "m");
  return out.meta("split.no", 2, Bytes::raw(split.number))
      .meta("split.count", 2, Bytes::raw(split.count))
      .meta("split.tensors.count", 5, Bytes::raw(split.tensors));
}

// A matrix of 2 rows of 32 in Q8_0: 2 * 34 bytes.
Bytes& matrix(Bytes& to, const std::string& name) { return to.next_tensor(name, {32, 2}, 8, 68); }

std::string with(const Split& split, const std::vector<std::string>& tensors) {
  Bytes out = part(split);
  for (const std::string& name : tensors) matrix(out, name);
  out.data = tensors.empty() ? "" : "data of " + tensors.front();
  return out.build();
}

class GgufSplits : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(int number, int count = 3) const {
    char name[64];
    std::snprintf(name, sizeof name, "m-Q8_0-%05d-of-%05d.gguf", number, count);
    return directory_ / name;
  }
  void write(int number, const std::string& bytes, int count = 3) {
    std::ofstream(path(number, count), std::ios::binary) << bytes;
  }
  void write_all() {
    write(1, with({0, 3, 3}, {}));  // --no-tensor-first-split
    write(2, with({1, 3, 3}, {"token_embd.weight", "output.weight"}));
    write(3, with({2, 3, 3}, {"blk.0.attn_q.weight"}));
  }
  // What is said when the part `named` is opened.
  std::string error(int named, ErrorCode code = ErrorCode::kCorruptData) {
    const auto file = open_gguf(path(named));
    EXPECT_FALSE(file.ok());
    if (file.ok()) return "";
    EXPECT_EQ(file.error().code, code) << file.error().message;
    return file.error().message;
  }
  static testing::AssertionResult mentions(const std::string& message,
                                           const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      if (message.find(part) == std::string::npos) {
        return testing::AssertionFailure() << '"' << part << "\" is not in: " << message;
      }
    }
    return testing::AssertionSuccess();
  }
  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("kakeya_gguf_split_" + std::to_string(::getpid()));
};

TEST_F(GgufSplits, AnyPartOpensAllOfThem) {
  write_all();
  for (const int named : {1, 2, 3}) {
    const auto model = open_gguf(path(named));
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->file.name, path(1));
    EXPECT_EQ(text_of(*model->file.find("general.name")), "m");
    ASSERT_EQ(model->file.tensors.size(), 3u);
    const GgufTensor& last = model->file.tensors.back();
    EXPECT_EQ(last.name, "blk.0.attn_q.weight");
    EXPECT_EQ(model->file.file_of(last), path(3));
    EXPECT_EQ(std::memcmp(last.bytes.data(), "data of blk.0", 13), 0);
  }
  const auto store = TensorStore::open(path(2));
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(store->files(), (std::vector<std::string>{path(1), path(2), path(3)}));
  EXPECT_EQ(store->tensors().size(), 3u);
  store->release(store->find("lm_head.weight")->bytes);
}

TEST_F(GgufSplits, AMissingPartIsNamed) {
  write_all();
  std::filesystem::remove(path(2));
  for (const int named : {1, 3}) {
    EXPECT_TRUE(
        mentions(error(named, ErrorCode::kNotFound),
                 {path(2), "no such file", "part 2 of 3", path(named).substr(path(named).rfind('/') + 1)}));
  }
}

TEST_F(GgufSplits, PartsOfOtherModelsAreRefused) {
  write_all();
  write(3, with({2, 3, 4}, {"blk.0.attn_q.weight"}));
  EXPECT_TRUE(mentions(error(1), {path(3), "split.tensors.count", "found 4", "expected 3", "another model"}));
  write(3, with({2, 3, 3}, {"blk.0.attn_q.weight", "blk.0.attn_k.weight"}));
  EXPECT_TRUE(mentions(error(1), {path(1), "split.tensors.count", "found 3", "expected 4", "another model"}));
  write(3, with({2, 3, 3}, {"output.weight"}));
  EXPECT_TRUE(mentions(error(1), {path(3), "\"output.weight\"", "00002-of-00003.gguf too", "in one part"}));
  Bytes named = part({2, 3, 3});
  matrix(named.string("general.name", "other"), "blk.0.attn_q.weight");
  write(3, named.build());
  EXPECT_TRUE(
      mentions(error(1), {path(3), "general.name", "\"other\"", "00001-of-00003.gguf", "another model"}));
}

TEST_F(GgufSplits, NumbersThatContradictTheNameAreRefused) {
  write_all();
  write(3, with({1, 3, 3}, {"blk.0.attn_q.weight"}));
  EXPECT_TRUE(
      mentions(error(1), {path(3), "split.no", "found part 2 of 3", "expected part 3 of 3", "renamed"}));
  write(3, with({2, 4, 3}, {"blk.0.attn_q.weight"}));
  EXPECT_TRUE(mentions(error(1), {path(3), "split.count", "found part 3 of 4", "expected part 3 of 3"}));
  write(3, with({3, 3, 3}, {}));
  EXPECT_TRUE(mentions(error(1), {path(3), "split.no", "found 3", "expected 0 to 2"}));
  write(3, Bytes().build());
  EXPECT_TRUE(mentions(error(1), {path(3), "split.count", "nothing", "3 as the file's name says"}));
  Bytes text = Bytes().string("split.count", "three");
  write(3, text.build());
  EXPECT_TRUE(mentions(error(1), {path(3), "split.count", "a string", "a whole number"}));
  const std::string renamed = directory_ / "renamed.gguf";
  std::filesystem::copy(path(2), renamed);
  const auto model = open_gguf(renamed);
  ASSERT_FALSE(model.ok());
  EXPECT_TRUE(mentions(model.error().message, {renamed, "file name", "-00002-of-00003.gguf"}));
}

TEST_F(GgufSplits, AWholeFileMayBeCalledTheOnlyPart) {
  write(1, with({0, 1, 1}, {"output.weight"}), 1);
  ASSERT_TRUE(open_gguf(path(1, 1)).ok());
  Bytes plain = Bytes().string("general.architecture", "qwen3");
  write(1, matrix(plain, "output.weight").build(), 1);
  const auto model = open_gguf(path(1, 1));
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->mappings.size(), 1u);
}

}  // namespace
}  // namespace kakeya::formats
