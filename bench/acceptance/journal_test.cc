#include "acceptance/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "acceptance/identity.h"
#include "acceptance/result_file.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "journal_" + std::to_string(::getpid()) + ".jsonl";
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string content() const { return read_whole_file(path_, 1 << 20).value(); }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  Record record(std::size_t index) const {
    Record r;
    r.index = index;
    r.task_id = "set/" + std::to_string(index);
    r.prompt_tokens = 7;
    r.max_tokens = 64;
    r.free.emplace();
    r.free->output_ids = {5, 6, 7};
    r.free->text = "caf\xc3\xa9";
    r.free->finish_reason = "length";
    r.free->cycles = {{3, 1, 2}};
    r.free->ttft_ms = 1.0 / 3;
    r.free->memory.target.codec_fired = {{1, 2}, {3, 4}};
    r.forced.emplace();
    r.forced->anchors = {{0, 3, 1}};
    r.forced->positions = 3;
    r.forced->kl_sum = 0.1 + 0.2;
    return r;
  }

  const Json identity_ = {{"params", {{"max_tokens", 64}}}};
  std::string path_;
};

TEST_F(JournalTest, GivesBackEveryPartBitForBit) {
  std::vector<Record> found;
  {
    auto journal = Journal::open(path_, identity_, found);
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE((*journal)->append_free(record(4)).ok());
    ASSERT_TRUE((*journal)->append_forced(record(4)).ok());
    ASSERT_TRUE((*journal)->append_free(record(9)).ok());
  }
  ASSERT_TRUE(found.empty());
  ASSERT_TRUE(Journal::open(path_, identity_, found).ok());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(to_json(found[0], "free"), to_json(record(4), "free"));
  EXPECT_EQ(found[0].free->ttft_ms, 1.0 / 3);
  EXPECT_EQ(found[0].forced->kl_sum, 0.1 + 0.2);
  EXPECT_FALSE(found[1].forced.has_value());
}

TEST_F(JournalTest, DropsAHalfWrittenLastLineWhereverItWasCut) {
  std::vector<Record> found;
  {
    auto journal = Journal::open(path_, identity_, found);
    ASSERT_TRUE((*journal)->append_free(record(1)).ok());
    ASSERT_TRUE((*journal)->append_free(record(2)).ok());
  }
  const std::string whole = content();
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t cut = last; cut < whole.size(); cut += 37) {
    write(whole.substr(0, cut));
    found.clear();
    {
      auto journal = Journal::open(path_, identity_, found);
      ASSERT_TRUE(journal.ok()) << journal.error().message;
      ASSERT_EQ(found.size(), 1u) << "cut at " << cut;
      ASSERT_TRUE((*journal)->append_free(record(2)).ok());
    }
    EXPECT_EQ(content(), whole) << "cut at " << cut;
  }
}

TEST_F(JournalTest, RefusesAnotherRunAndNamesTheDifference) {
  std::vector<Record> found;
  ASSERT_TRUE(Journal::open(path_, identity_, found).ok());
  const auto other = Journal::open(path_, {{"params", {{"max_tokens", 256}}}}, found);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(other.error().message, HasSubstr("params.max_tokens: 64 there, 256 now"));
}

TEST_F(JournalTest, RefusesALineThatIsNotJsonBeforeTheLast) {
  std::vector<Record> found;
  {
    auto journal = Journal::open(path_, identity_, found);
    ASSERT_TRUE((*journal)->append_free(record(1)).ok());
  }
  write(content() + "{broken\n{}\n");
  const auto journal = Journal::open(path_, identity_, found);
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.error().code, ErrorCode::kCorruptData);
  EXPECT_THAT(journal.error().message, HasSubstr("line 3"));
}

TEST_F(JournalTest, RefusesAFileThatIsNoJournal) {
  write("hello\nworld\n");
  std::vector<Record> found;
  EXPECT_EQ(Journal::open(path_, identity_, found).error().code, ErrorCode::kCorruptData);
  write("{\"schema\":\"b2-dflash-kakeya-journal-v2\",\"identity\":{}}\n");
  EXPECT_THAT(Journal::open(path_, identity_, found).error().message, HasSubstr("not the header"));
}

// A full disk, played by a limit on file size: the error comes back and the file ends with its last whole
// line.
TEST_F(JournalTest, StaysWholeWhenTheDiskIsFull) {
  std::vector<Record> found;
  auto journal = Journal::open(path_, identity_, found);
  ASSERT_TRUE((*journal)->append_free(record(1)).ok());
  const std::string before = content();

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{before.size() + 100, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = (*journal)->append_free(record(2));
  const Status files =
      write_files({{path_ + ".a", "short"}, {path_ + ".b", std::string(before.size() + 200, 'x')}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);

  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_EQ(content(), before);
  // Whole-file writes: nothing of the set appears, not even the file that had room.
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.error().message, HasSubstr(".b"));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".a"));
  for (const auto& entry : std::filesystem::directory_iterator(testing::TempDir())) {
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr(path_ + ".a.tmp")));
  }
}

TEST(ResultFile, ReadsItsOwnMajorVersionOnly) {
  EXPECT_TRUE(check_schema("b2-dflash-kakeya-v1").ok());
  EXPECT_TRUE(check_schema("b2-dflash-kakeya-v1.4").ok());
  for (const char* other :
       {"b2-dflash-kakeya-v2", "b2-dflash-kakeya-v10", "b2-dflash-kakeya-v", "something", ""}) {
    const Status status = check_schema(other);
    ASSERT_FALSE(status.ok()) << other;
    EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  }
}

TEST_F(JournalTest, ResultReaderNamesWhatIsWrong) {
  Json identity;
  write("[1, 2]");
  EXPECT_EQ(read_result_file(path_, identity).error().code, ErrorCode::kCorruptData);
  write(R"({"schema":"b2-dflash-kakeya-v2"})");
  EXPECT_EQ(read_result_file(path_, identity).error().code, ErrorCode::kUnsupported);
  write(R"({"schema":"b2-dflash-kakeya-v1","engine":"kakeya","records":[{"index":"one"}]})");
  EXPECT_THAT(read_result_file(path_, identity).error().message, HasSubstr("record 0"));
  EXPECT_EQ(read_result_file(path_ + ".absent", identity).error().code, ErrorCode::kNotFound);
}

TEST_F(JournalTest, ResultReaderGivesBackRecordsOfBothProtocols) {
  for (const char* primary : {"free", "forced"}) {
    const Json file = {{"schema", "b2-dflash-kakeya-v1"},
                       {"engine", "kakeya"},
                       {"identity", {{"a", 1}}},
                       {"records", {to_json(record(3), primary)}}};
    write(file.dump());
    Json identity;
    const auto read = read_result_file(path_, identity);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(to_json(read->records[0], primary), to_json(record(3), primary));
    EXPECT_EQ(identity.at("a"), 1);
  }
}

TEST(Record, RefusesOutputThatDoesNotMatchItsDigest) {
  FreePart part;
  part.output_ids = {1, 2, 3};
  part.finish_reason = "stop";
  Json json = to_json(part);
  // sha256 of "1,2,3", from the sha256sum tool.
  EXPECT_EQ(json.at("output_sha256"), "8a6ae15122001229edb8866f56e342af12ae8187203c3e3b33931743e7c0c48d");
  json["output_ids"] = {1, 2, 4};
  EXPECT_FALSE(free_from_json(json).ok());
}

TEST(Record, RefusesMoreAcceptedThanProposed) {
  FreePart part;
  part.cycles = {{3, 2, 3}};
  Json json = to_json(part);
  json["acceptance_lengths"] = {5};
  EXPECT_FALSE(free_from_json(json).ok());
  json["acceptance_lengths"] = {3, 1};
  EXPECT_FALSE(free_from_json(json).ok());
}

}  // namespace
}  // namespace kakeya::acceptance
