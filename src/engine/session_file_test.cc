// Sequences on disk: what is written comes back, its bytes are those of the page, and everything else is
// refused.
#include "engine/session_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "base/sha256.h"

namespace kakeya::engine {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

constexpr SequenceLimits kLimits = {.max_tokens = 100, .vocab_size = 1000};

Bytes numbered(std::size_t n, unsigned first) {
  Bytes out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::byte>(first + i);
  return out;
}

SequenceIdentity identity() { return {"aa11", "bb2", "e8-q7", "bf16", 1}; }
SavedSequence sequence() { return {{7, 999, 0}, 2, numbered(9, 0x40), numbered(4, 0x80)}; }

class SessionFile : public testing::Test {
 protected:
  SessionFile()
      : folder_(fs::temp_directory_path() / ("kakeya_session_file_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~SessionFile() override { fs::remove_all(folder_); }
  std::string path(const std::string& name = "s.kvs") const { return (folder_ / name).string(); }

  Bytes written(const SequenceIdentity& id, const SavedSequence& saved) const {
    EXPECT_TRUE(write_sequence(path(), id, saved).ok());
    const auto text = base::read_file(path(), 1 << 20);
    EXPECT_TRUE(text.ok());
    const auto bytes = std::as_bytes(std::span(*text));
    return {bytes.begin(), bytes.end()};
  }
  fs::path folder_;
};

void expect_refused(const Result<SavedSequence>& result, ErrorCode code,
                    const std::vector<std::string>& parts) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, code) << result.error().message;
  for (const std::string& part : parts) {
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
}

// With the checksum of what the bytes before it became: a forger has no trouble with it.
Bytes resealed(Bytes file) {
  const std::string sum = base::sha256_hex(std::span(file).first(file.size() - 64));
  std::memcpy(file.data() + file.size() - 64, sum.data(), 64);
  return file;
}

template <class T>
void put(Bytes& file, std::size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

TEST_F(SessionFile, ComesBackAsItWasWritten) {
  ASSERT_TRUE(write_sequence(path(), identity(), sequence()).ok());
  const auto back = read_sequence(path(), identity(), kLimits);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->tokens, sequence().tokens);
  EXPECT_EQ(back->draft_length, 2u);
  EXPECT_EQ(back->rows, sequence().rows);
  EXPECT_EQ(back->draft_rows, sequence().draft_rows);
}

TEST_F(SessionFile, OfASequenceWithoutDraftOrTokensComesBack) {
  const SequenceIdentity alone = {"aa11", "", "bf16", "bf16", 0};
  for (const SavedSequence& saved : {SavedSequence{{5}, 0, numbered(3, 1), {}}, SavedSequence{}}) {
    ASSERT_TRUE(write_sequence(path(), alone, saved).ok());
    const auto back = read_sequence(path(), alone, kLimits);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(back->tokens, saved.tokens);
    EXPECT_EQ(back->rows, saved.rows);
  }
}

// Written by hand from docs/formats/session.md; the checksum by sha256sum.
TEST_F(SessionFile, HasTheBytesOfItsPage) {
  const unsigned char expected[] = {
      'K',  'A',  'K',  'E',  'Y',  'A',  'S',  'Q',   // magic
      0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,  // version, boundary
      0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // tokens
      0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // draft_length
      0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // rows_bytes
      0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // draft_rows_bytes
      0x04, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,  // sizes of the fingerprints
      0x05, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,  // and of the channels
      'a',  'a',  '1',  '1',  'b',  'b',  '2',  'e',  '8',  '-',  'q',  '7',  'b',  'f',
      '1',  '6',  0x07, 0x00, 0x00, 0x00, 0xe7, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // tokens 7, 999, 0
      0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,                                // rows
      0x80, 0x81, 0x82, 0x83,                                                              // draft rows
  };
  const std::string checksum = "77c8e98c456efa84a329c5342e2a4296d20e90730f39719ada32db12ffd794bd";
  const Bytes file = written(identity(), sequence());
  ASSERT_EQ(file.size(), sizeof expected + 64);
  EXPECT_EQ(0, std::memcmp(file.data(), expected, sizeof expected));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.data()) + sizeof expected, 64), checksum);
}

TEST_F(SessionFile, WithAnyBitFlippedIsRefused) {
  const Bytes good = written(identity(), sequence());
  ASSERT_TRUE(parse_sequence("s", good, identity(), kLimits).ok());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = good;
      bad[at] ^= static_cast<std::byte>(1 << bit);
      EXPECT_FALSE(parse_sequence("s", bad, identity(), kLimits).ok()) << at << " " << bit;
    }
  }
}

TEST_F(SessionFile, CutAnywhereOrLongerIsRefused) {
  const Bytes good = written(identity(), sequence());
  for (std::size_t size = 0; size < good.size(); ++size) {
    // Of exactly this size, so that a sanitizer sees a read beyond it.
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    expect_refused(parse_sequence("s", cut, identity(), kLimits), ErrorCode::kCorruptData, {"s: found"});
  }
  Bytes longer = good;
  longer.push_back(std::byte{});
  expect_refused(parse_sequence("s", longer, identity(), kLimits), ErrorCode::kCorruptData,
                 {std::to_string(longer.size()), std::to_string(good.size())});
}

TEST_F(SessionFile, OfAnotherModelDraftChannelOrBoundaryIsRefusedNamingBoth) {
  const Bytes file = written(identity(), sequence());
  const auto refused = [&](auto change, const std::vector<std::string>& parts) {
    SequenceIdentity expected = identity();
    change(expected);
    expect_refused(parse_sequence("s", file, expected, kLimits), ErrorCode::kUnsupported, parts);
  };
  refused([](auto& id) { id.target_fingerprint = "cc"; }, {"target model", "aa11", "cc"});
  refused([](auto& id) { id.draft_fingerprint = "dd"; }, {"draft model", "bb2", "dd"});
  refused([](auto& id) { id.draft_fingerprint = ""; }, {"draft model", "bb2", "none"});
  refused([](auto& id) { id.kv = "e8-q38"; }, {"KV channel", "e8-q7", "e8-q38"});
  refused([](auto& id) { id.draft_kv = "q8_0"; }, {"draft's KV channel", "bf16", "q8_0"});
  refused([](auto& id) { id.boundary = 0; }, {"boundary is 1, expected 0"});
}

TEST_F(SessionFile, OfAnotherVersionIsRefusedNamingBoth) {
  Bytes file = written(identity(), sequence());
  put<std::uint32_t>(file, 8, 2);
  expect_refused(parse_sequence("s", resealed(file), identity(), kLimits), ErrorCode::kUnsupported,
                 {"version is 2, expected 1"});
}

TEST_F(SessionFile, WithTokensOutsideTheVocabularyOrTooManyIsRefused) {
  for (const Token bad : {Token{1000}, Token{-1}, std::numeric_limits<Token>::min()}) {
    SavedSequence saved = sequence();
    saved.tokens[1] = bad;
    expect_refused(parse_sequence("s", written(identity(), saved), identity(), kLimits),
                   ErrorCode::kCorruptData, {"token 1", std::to_string(bad), "999"});
  }
  const Bytes file = written(identity(), sequence());
  EXPECT_TRUE(parse_sequence("s", file, identity(), {.max_tokens = 3, .vocab_size = 1000}).ok());
  expect_refused(parse_sequence("s", file, identity(), {.max_tokens = 2, .vocab_size = 1000}),
                 ErrorCode::kContextOverflow, {"3 tokens", "at most 2"});
}

// Sizes that a forger may write, each with a right checksum.
TEST_F(SessionFile, WithSizesThatDoNotFillTheFileIsRefused) {
  const Bytes good = written(identity(), sequence());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::size_t at : {16, 32, 40}) {
    for (const std::uint64_t size :
         {std::uint64_t{0}, std::uint64_t{1} << 40, std::uint64_t{1} << 62, kMost}) {
      Bytes file = good;
      put(file, at, size);
      expect_refused(parse_sequence("s", resealed(file), identity(), kLimits), ErrorCode::kCorruptData, {});
    }
  }
  for (const std::size_t at : {48, 52, 56, 60}) {
    for (const std::uint32_t size : {0u, 257u, 0xffffffffu}) {
      Bytes file = good;
      put(file, at, size);
      expect_refused(parse_sequence("s", resealed(file), identity(), kLimits), ErrorCode::kCorruptData, {});
    }
  }
  // Two sizes that cancel out in 64 bits.
  Bytes wraps = good;
  put(wraps, 32, kMost - 3);
  put<std::uint64_t>(wraps, 40, 4 + 9 + 4);
  expect_refused(parse_sequence("s", resealed(wraps), identity(), kLimits), ErrorCode::kCorruptData, {});
}

TEST_F(SessionFile, WhoseLengthsContradictItsRowsIsRefused) {
  const Bytes good = written(identity(), sequence());
  for (const std::uint64_t draft_length : {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{1} << 63}) {
    Bytes file = good;
    put(file, 24, draft_length);
    expect_refused(parse_sequence("s", resealed(file), identity(), kLimits), ErrorCode::kCorruptData,
                   {"do not fit"});
  }
  Bytes no_rows = good;  // all 13 bytes of rows are the draft's
  put<std::uint64_t>(no_rows, 32, 0);
  put<std::uint64_t>(no_rows, 40, 13);
  expect_refused(parse_sequence("s", resealed(no_rows), identity(), kLimits), ErrorCode::kCorruptData,
                 {"do not fit"});
}

TEST_F(SessionFile, WithNamesThatAreNoTextIsRefusedWithoutShowingThem) {
  Bytes file = written(identity(), sequence());
  file[64] = std::byte{'\n'};
  const auto result = parse_sequence("s", resealed(file), identity(), kLimits);
  expect_refused(result, ErrorCode::kCorruptData, {"printable"});
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

TEST_F(SessionFile, DoesNotReplaceAPipeAndKeepsALink) {
  ASSERT_EQ(::mkfifo(path("pipe.kvs").c_str(), 0600), 0);
  EXPECT_EQ(write_sequence(path("pipe.kvs"), identity(), sequence()).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(fs::status(path("pipe.kvs")).type(), fs::file_type::fifo);
  fs::create_symlink("there.kvs", path("link.kvs"));
  ASSERT_TRUE(write_sequence(path("link.kvs"), identity(), sequence()).ok());
  EXPECT_TRUE(fs::is_symlink(path("link.kvs")));
  EXPECT_TRUE(read_sequence(path("there.kvs"), identity(), kLimits).ok());
}

TEST_F(SessionFile, ThatCannotBeWrittenLeavesTheOldOne) {
  ASSERT_TRUE(write_sequence(path(), identity(), sequence()).ok());
  EXPECT_FALSE(write_sequence(path("none/s.kvs"), identity(), sequence()).ok());
  EXPECT_EQ(read_sequence(path("none/s.kvs"), identity(), kLimits).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(read_sequence(path(), identity(), kLimits).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace kakeya::engine
