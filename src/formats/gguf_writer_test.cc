#include "formats/gguf_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"

namespace kakeya::formats {
namespace {

class GgufWriterFiles : public ::testing::Test {
 protected:
  GgufWriterFiles()
      : directory_(std::filesystem::temp_directory_path() / ("gguf_writer." + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~GgufWriterFiles() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return (directory_ / "x.gguf").string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }
  std::filesystem::path directory_;
};

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text(const std::string& s) { return raw<std::uint64_t>(s.size()) + s; }

// The layout of the GGUF specification, version 3, written out by hand.
TEST_F(GgufWriterFiles, HaveTheLayoutOfTheSpecification) {
  GgufWriter writer(path());
  writer.set("a", std::uint32_t{7});
  writer.set("b", "xyz");
  writer.set("c", std::vector<std::string>{"p", ""});
  writer.set("d", true);
  writer.set("e", 1.5f);
  const std::int32_t numbers[] = {-1, 2};
  writer.set("f", std::span<const std::int32_t>(numbers));
  writer.add_tensor("m", *find_ggml_type(Dtype::kF16), {2, 3});
  writer.add_tensor("v", *find_ggml_type(Dtype::kF32), {1});
  ASSERT_TRUE(writer.begin().ok());
  EXPECT_FALSE(std::filesystem::exists(path()));
  const std::string matrix = "abcdefghijkl", vector = "wxyz";
  const auto bytes = [](std::string_view s) { return std::as_bytes(std::span(s.data(), s.size())); };
  ASSERT_TRUE(writer.write(bytes(matrix.substr(0, 5))).ok());
  ASSERT_TRUE(writer.write(bytes(matrix.substr(5))).ok());
  ASSERT_TRUE(writer.write(bytes(vector)).ok());
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(files(), 1u);

  std::string expected = "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(2) + raw<std::uint64_t>(6);
  expected += text("a") + raw<std::uint32_t>(4) + raw<std::uint32_t>(7);
  expected += text("b") + raw<std::uint32_t>(8) + text("xyz");
  expected += text("c") + raw<std::uint32_t>(9) + raw<std::uint32_t>(8) + raw<std::uint64_t>(2) + text("p") +
              text("");
  expected += text("d") + raw<std::uint32_t>(7) + std::string(1, '\1');
  expected += text("e") + raw<std::uint32_t>(6) + raw(1.5f);
  expected += text("f") + raw<std::uint32_t>(9) + raw<std::uint32_t>(5) + raw<std::uint64_t>(2) +
              raw<std::int32_t>(-1) + raw<std::int32_t>(2);
  expected += text("m") + raw<std::uint32_t>(2) + raw<std::uint64_t>(3) + raw<std::uint64_t>(2) +
              raw<std::uint32_t>(1) + raw<std::uint64_t>(0);
  expected += text("v") + raw<std::uint32_t>(1) + raw<std::uint64_t>(1) + raw<std::uint32_t>(0) +
              raw<std::uint64_t>(32);
  expected.resize((expected.size() + 31) / 32 * 32);
  expected += matrix + std::string(20, '\0') + vector + std::string(28, '\0');
  const auto found = base::read_file(path(), 1 << 20);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, expected);
  EXPECT_EQ(writer.file_bytes(), expected.size());
}

TEST_F(GgufWriterFiles, DisappearWhenUnfinished) {
  {
    GgufWriter writer(path());
    writer.add_tensor("v", *find_ggml_type(Dtype::kF32), {8});
    ASSERT_TRUE(writer.begin().ok());
    EXPECT_EQ(files(), 1u);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(GgufWriterFiles, InADirectoryThatDoesNotExistAreAnErrorWithThePath) {
  GgufWriter writer((directory_ / "no" / "x.gguf").string());
  const Status status = writer.begin();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find("no/x.gguf"), std::string::npos);
}

}  // namespace
}  // namespace kakeya::formats
