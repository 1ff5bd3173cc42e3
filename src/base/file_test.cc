// Reading, mapping and atomic writing of whole files, and what happens when the system refuses.
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/mapped_file.h"

namespace kakeya::base {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / ("kakeya_file_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(Files, WhatIsWrittenIsReadAndMapped) {
  const std::string content("one\0two\n", 8);
  ASSERT_TRUE(write_file_atomic(path("a"), content).ok());
  EXPECT_EQ(*read_file(path("a"), 8), content);
  const auto mapped = MappedFile::open(path("a"));
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(text_of(*mapped), content);
  EXPECT_EQ(mapped->path(), path("a"));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, AnEmptyFileIsEmpty) {
  ASSERT_TRUE(write_file_atomic(path("empty"), "").ok());
  EXPECT_EQ(*read_file(path("empty"), 0), "");
  EXPECT_TRUE(MappedFile::open(path("empty"))->bytes().empty());
}

TEST_F(Files, APrivateFileHoldsItsPiecesInOrderForItsOwnerAlone) {
  const std::string a = "first, ", b, c = "second";
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(a)), std::as_bytes(std::span(b)),
                                               std::as_bytes(std::span(c))};
  ASSERT_TRUE(write_private_file_atomic(path("p"), pieces).ok());
  EXPECT_EQ(*read_file(path("p"), 100), "first, second");
  EXPECT_EQ(fs::status(path("p")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(entries(), 1u);
  const Status nowhere = write_private_file_atomic(path("none/p"), pieces);
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code, ErrorCode::kNotFound);
}

TEST_F(Files, AWriteReplacesTheWholeFile) {
  ASSERT_TRUE(write_file_atomic(path("a"), std::string(100000, 'x')).ok());
  ASSERT_TRUE(write_file_atomic(path("a"), "short").ok());
  EXPECT_EQ(*read_file(path("a"), 100), "short");
}

TEST_F(Files, ReadRefusesMoreThanItsLimitAndNamesIt) {
  ASSERT_TRUE(write_file_atomic(path("a"), "123456").ok());
  const auto text = read_file(path("a"), 5);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ErrorCode::kCorruptData);
  EXPECT_NE(text.error().message.find(path("a")), std::string::npos);
  EXPECT_NE(text.error().message.find('5'), std::string::npos);
}

TEST_F(Files, AMissingFileIsNotFoundAndAFolderIsNoFile) {
  EXPECT_EQ(read_file(path("none"), 10).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(MappedFile::open(path("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_file(folder_.string(), 10).error().code, ErrorCode::kIo);
  EXPECT_EQ(MappedFile::open(folder_.string()).error().code, ErrorCode::kIo);
}

TEST_F(Files, AWriteIntoAMissingOrForbiddenFolderIsAnErrorThatNamesThePath) {
  const Status missing = write_file_atomic(path("no/such/folder/a"), "x");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("no/such/folder/a"), std::string::npos);
  if (::geteuid() == 0) GTEST_SKIP() << "root may write into any folder";
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  const Status forbidden = write_file_atomic(path("a"), "x");
  fs::permissions(folder_, fs::perms::owner_all);
  ASSERT_FALSE(forbidden.ok());
  EXPECT_EQ(forbidden.error().code, ErrorCode::kIo);
}

TEST_F(Files, AWriteOntoAFolderFailsAndLeavesNoTemporaryFile) {
  fs::create_directories(folder_ / "a" / "inside");
  EXPECT_FALSE(write_file_atomic(path("a"), "x").ok());
  EXPECT_EQ(entries(), 1u);
  EXPECT_TRUE(fs::is_directory(path("a")));
}

// A limit on the size of files stands for a full disk: the system accepts a part, then refuses.
TEST_F(Files, AFullDiskLeavesTheOldFileAndNoTemporaryOne) {
  ASSERT_TRUE(write_file_atomic(path("a"), "old").ok());
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = write_file_atomic(path("a"), std::string(100000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_EQ(*read_file(path("a"), 10), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, AMappingMovesAndStaysValid) {
  ASSERT_TRUE(write_file_atomic(path("a"), "aaa").ok());
  ASSERT_TRUE(write_file_atomic(path("b"), "bb").ok());
  auto a = MappedFile::open(path("a")), b = MappedFile::open(path("b"));
  MappedFile moved = std::move(*a);
  EXPECT_EQ(text_of(moved), "aaa");
  moved = std::move(*b);
  EXPECT_EQ(text_of(moved), "bb");
  // The file behind a mapping may be replaced: the mapping keeps the old content.
  ASSERT_TRUE(write_file_atomic(path("b"), "CC").ok());
  EXPECT_EQ(text_of(moved), "bb");
}

}  // namespace
}  // namespace kakeya::base
