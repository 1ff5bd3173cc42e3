#include "acceptance/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "acceptance/dataset_records.h"
#include "acceptance/dataset_selection.h"
#include "acceptance/files.h"
#include "acceptance/jsonl.h"

namespace kakeya::acceptance {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kMathLine = R"({"question": "One and one?", "answer": "1+1=<<1+1=2>>2\n#### 2"})";
constexpr const char* kCodeLine =
    R"({"task_id": "T/0", "prompt": "def one():\n", "entry_point": "one", "canonical_solution": "    return 1\n", )"
    R"("test": "def check(candidate):\n    assert candidate() == 1\n"})";

class DatasetFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kakeya-dataset-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    options_.data_dir = dir_ / "data";
    options_.cache_dir = dir_ / "cache";
    options_.share_dir = KAKEYA_SOURCE_DIR;
    options_.allow_network = false;
    options_.n_samples = 1000000;
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(const std::string& below, const std::string& bytes) {
    fs::create_directories((dir_ / below).parent_path());
    std::ofstream(dir_ / below, std::ios::binary) << bytes;
  }
  static std::string gzip(const std::string& bytes) {
    z_stream z{};
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
  }

  fs::path dir_;
  DatasetOptions options_;
};

fs::path shared_data() {
  const char* shared = std::getenv("KAKEYA_SHARED");
  return fs::path(shared != nullptr ? shared : KAKEYA_SOURCE_DIR "/../shared") / "data";
}

// Values of a separate Python implementation of the rule in docs/formats/datasets.md.
TEST(SelectIndices, FollowsTheDocumentedPermutation) {
  EXPECT_THAT(select_indices(10, 10, 0), ElementsAre(5, 1, 9, 7, 0, 4, 3, 2, 6, 8));
  EXPECT_THAT(select_indices(10, 10, 1), ElementsAre(5, 8, 1, 3, 7, 2, 4, 6, 0, 9));
  EXPECT_THAT(select_indices(1319, 8, 0), ElementsAre(1212, 1003, 939, 931, 1246, 359, 887, 899));
  EXPECT_THAT(select_indices(164, 8, 0xFFFFFFFFFFFFFFFFu), ElementsAre(64, 1, 123, 65, 50, 117, 91, 76));
}

TEST(SelectIndices, KeepsItsFirstPlacesWhenMoreAreAskedFor) {
  const auto few = select_indices(149, 7, 0), more = select_indices(149, 60, 0);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), more.begin()));
  EXPECT_NE(select_indices(149, 7, 1), few);
}

TEST(SelectIndices, IsAPermutationAndStopsAtTheEnd) {
  const auto all = select_indices(149, 1000, 3);
  EXPECT_EQ(all.size(), 149u);
  EXPECT_EQ(std::set<std::size_t>(all.begin(), all.end()).size(), 149u);
  EXPECT_LT(*std::max_element(all.begin(), all.end()), 149u);
  EXPECT_TRUE(select_indices(0, 5, 0).empty());
}

TEST_F(DatasetFiles, EmbeddedSetsLoadFromTheSourceTree) {
  for (const std::string name : {"gsm-mini", "py-mini"}) {
    const auto set = load_dataset(name, options_);
    ASSERT_TRUE(set.ok()) << set.error().message;
    EXPECT_EQ(set->source, "local");
    EXPECT_GE(set->n_available, 96u);
    EXPECT_EQ(set->problems.size(), set->n_available);
    std::ifstream file(set->path, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(set->sha256, sha256_text(bytes));
    for (const Problem& problem : set->problems) {
      EXPECT_FALSE(problem.prompt.empty());
      EXPECT_EQ(problem.kind, name == "gsm-mini" ? TaskKind::kMath : TaskKind::kCode);
      EXPECT_NE(problem.answer.empty(), problem.test.empty());
    }
  }
}

TEST_F(DatasetFiles, LocalFileIsFoundInEachUsualPlaceAndGzipped) {
  for (const std::string place : {"gsm8k/test.jsonl", "gsm8k.jsonl", "gsm8k/main/test.jsonl"}) {
    write("data/" + place, std::string(kMathLine) + "\n");
    const auto plain = load_dataset("gsm8k", options_);
    ASSERT_TRUE(plain.ok()) << plain.error().message;
    EXPECT_THAT(plain->path, HasSubstr(place));
    fs::remove(dir_ / "data" / place);
    write("data/" + place + ".gz", gzip(std::string(kMathLine) + "\n"));
    const auto packed = load_dataset("gsm8k", options_);
    ASSERT_TRUE(packed.ok()) << packed.error().message;
    EXPECT_EQ(packed->sha256, plain->sha256);
    EXPECT_EQ(packed->problems.at(0).answer, "2");
    EXPECT_EQ(packed->problems.at(0).task_id, "gsm8k/0");
    fs::remove(dir_ / "data" / (place + ".gz"));
  }
  write("data/humaneval/HumanEval.jsonl.gz", gzip(kCodeLine));
  const auto code = load_dataset("humaneval", options_);
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_EQ(code->problems.at(0).entry_point, "one");
  EXPECT_EQ(code->problems.at(0).solution, "    return 1\n");
}

TEST_F(DatasetFiles, BrokenLocalFileIsAnErrorEvenWhenTheFixtureIsAllowed) {
  write("data/gsm8k/test.jsonl", "{\"question\": \"One");
  options_.allow_synthetic = true;
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_FALSE(set.ok());
  EXPECT_THAT(set.error().message, AllOf(HasSubstr("test.jsonl line 1"), HasSubstr("invalid JSON")));
}

TEST_F(DatasetFiles, FixtureIsUsedOnlyWhenAllowed) {
  const auto refused = load_dataset("gsm8k", options_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("gsm8k/test.jsonl"), HasSubstr("no cache"),
                                             HasSubstr("network is not allowed")));
  options_.allow_synthetic = true;
  options_.n_samples = 3;
  for (const std::string name : {"gsm8k", "humaneval"}) {
    const auto set = load_dataset(name, options_);
    ASSERT_TRUE(set.ok()) << set.error().message;
    EXPECT_EQ(set->source, "synthetic");
    EXPECT_EQ(set->problems.size(), 3u);
    EXPECT_GT(set->n_available, 3u);
  }
}

TEST_F(DatasetFiles, UnknownNameAndZeroSamplesAreRefused) {
  EXPECT_THAT(load_dataset("gsm9k\xff", options_).error().message,
              HasSubstr("gsm8k, humaneval, gsm-mini, py-mini"));
  options_.n_samples = 0;
  EXPECT_THAT(load_dataset("gsm-mini", options_).error().message, HasSubstr("0 samples"));
}

TEST_F(DatasetFiles, GzipBombIsRefusedAtTheCap) {
  write("data/gsm8k/test.jsonl.gz", gzip(std::string(kMaxDatasetBytes + 1, ' ')));
  EXPECT_LT(fs::file_size(dir_ / "data/gsm8k/test.jsonl.gz"), 200'000u);
  EXPECT_THAT(load_dataset("gsm8k", options_).error().message, HasSubstr("more than 67108864 bytes"));
}

TEST_F(DatasetFiles, CutGzipIsRefusedAtEveryLength) {
  const std::string whole = gzip(std::string(kMathLine) + "\n");
  for (std::size_t n = 2; n < whole.size(); ++n) {
    EXPECT_FALSE(gunzip(std::string_view(whole).substr(0, n), 1000, "x.gz").ok()) << n;
  }
  std::string damaged = whole;
  damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x40);
  EXPECT_FALSE(gunzip(damaged, 1000, "x.gz").ok());
  EXPECT_EQ(gunzip(whole + whole, 1000, "x.gz").value(), std::string(kMathLine) + "\n" + kMathLine + "\n");
}

struct BadFile {
  const char *name, *set, *text;
  std::vector<const char*> said;
};

class BadRecords : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadRecords, AreNamedByFileLineFieldFoundAndExpected) {
  const auto problems = parse_jsonl_problems(GetParam().set, "some.jsonl", GetParam().text);
  ASSERT_FALSE(problems.ok());
  for (const char* part : GetParam().said) EXPECT_THAT(problems.error().message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    Dataset, BadRecords,
    ::testing::Values(
        BadFile{"Empty", "gsm8k", "", {"some.jsonl", "no record"}},
        BadFile{"OnlyBlank", "gsm8k", "\n \n\r\n", {"some.jsonl", "no record"}},
        BadFile{"CutLine",
                "gsm8k",
                "{\"question\": \"a\", \"answer\": \"#### 1\"}\n\n{\"question\": \"b\"",
                {"some.jsonl line 3", "invalid JSON"}},
        BadFile{"NotJson", "gsm8k", "<html>", {"line 1", "invalid JSON"}},
        BadFile{"Array", "gsm8k", "[1, 2]", {"line 1", "found array", "expected an object"}},
        BadFile{"Number", "gsm8k", "17", {"line 1", "found number"}},
        BadFile{"MissingField", "gsm8k", "{\"question\": \"a\"}", {"line 1", "\"answer\"", "missing"}},
        BadFile{"WrongType",
                "gsm8k",
                "{\"question\": 7, \"answer\": \"#### 1\"}",
                {"\"question\"", "found number", "expected a string"}},
        BadFile{"NullField",
                "gsm8k",
                "{\"question\": null, \"answer\": \"#### 1\"}",
                {"\"question\"", "found null"}},
        BadFile{"EmptyQuestion",
                "gsm8k",
                "{\"question\": \" \", \"answer\": \"#### 1\"}",
                {"\"question\"", "found nothing"}},
        BadFile{"NoMark",
                "gsm8k",
                "{\"question\": \"a\", \"answer\": \"it is 3\"}",
                {"\"answer\"", "no \"####\""}},
        BadFile{"NoNumber",
                "gsm8k",
                "{\"question\": \"a\", \"answer\": \"#### three\"}",
                {"\"answer\"", "three", "a number"}},
        BadFile{"InvalidUtf8",
                "gsm8k",
                "{\"question\": \"\xff\xfe\", \"answer\": \"#### 1\"}",
                {"line 1", "UTF-8"}},
        BadFile{"RawControlByte",
                "gsm8k",
                "{\"question\": \"a\x01\", \"answer\": \"#### 1\"}",
                {"line 1", "invalid JSON"}},
        BadFile{"HugeNumber", "gsm8k", "{\"question\": 1e999, \"answer\": \"#### 1\"}", {"line 1"}},
        BadFile{"CodeInMathSet", "gsm8k", kCodeLine, {"\"question\"", "missing"}},
        BadFile{
            "BadEntryPoint",
            "humaneval",
            R"({"task_id":"a","prompt":"def f():","entry_point":"f);import os","canonical_solution":"","test":"def check(c): pass"})",
            {"\"entry_point\"", "import os", "name of a function"}},
        BadFile{
            "OtherEntryPoint",
            "humaneval",
            R"({"task_id":"a","prompt":"def f():","entry_point":"g","canonical_solution":"","test":"def check(c): pass"})",
            {"\"prompt\"", "def g"}},
        BadFile{
            "NoCheck",
            "humaneval",
            R"({"task_id":"a","prompt":"def f():","entry_point":"f","canonical_solution":"","test":"assert True"})",
            {"\"test\"", "check"}},
        BadFile{"UnknownSet", "nope", kMathLine, {"unknown data set"}}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST(ParseJsonlProblems, RefusesTheSameTaskTwice) {
  const auto problems =
      parse_jsonl_problems("humaneval", "x.jsonl", std::string(kCodeLine) + "\n" + kCodeLine);
  EXPECT_THAT(problems.error().message,
              AllOf(HasSubstr("line 2"), HasSubstr("T/0"), HasSubstr("second time")));
}

TEST(ParseJsonlProblems, RefusesDeepNestingAndLongLinesWithoutParsingThem) {
  const std::string deep = std::string(500'000, '[');
  EXPECT_THAT(parse_jsonl_problems("gsm8k", "x", deep).error().message, HasSubstr("500000 deep"));
  const std::string long_line = "{\"question\": \"" + std::string(kMaxLineBytes, 'a') + "\"}";
  EXPECT_THAT(parse_jsonl_problems("gsm8k", "x", long_line).error().message, HasSubstr("bytes in a line"));
}

TEST(ParseJsonlProblems, TakesByteOrderMarkCarriageReturnsAndUnknownFields) {
  const auto problems = parse_jsonl_problems("gsm8k", "x",
                                             "\xEF\xBB\xBF{\"id\": [1, {\"a\": []}], \"question\": \"q "
                                             "\\u00e9 [[[\", \"answer\": \"#### -1,234.5\"}\r\n\r\n");
  ASSERT_TRUE(problems.ok()) << problems.error().message;
  EXPECT_EQ(problems->at(0).prompt, "q \xC3\xA9 [[[");
  EXPECT_EQ(problems->at(0).answer, "-1,234.5");
}

TEST(PublishedSets, LoadWholeWithTheirPublishedDigests) {
  DatasetOptions options;
  options.data_dir = shared_data();
  options.n_samples = 5000;
  options.allow_network = false;
  if (!fs::exists(fs::path(options.data_dir) / "gsm8k/test.jsonl")) {
    GTEST_SKIP() << options.data_dir << "/gsm8k/test.jsonl is not there; set KAKEYA_SHARED";
  }
  const auto maths = load_dataset("gsm8k", options);
  ASSERT_TRUE(maths.ok()) << maths.error().message;
  EXPECT_EQ(maths->n_available, 1319u);
  EXPECT_EQ(maths->sha256, "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14");
  const auto code = load_dataset("humaneval", options);
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_EQ(code->n_available, 164u);
  EXPECT_EQ(code->sha256,
            "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2");  // sha256sum after gunzip
}

}  // namespace
}  // namespace kakeya::acceptance
