// What the tokenizer promises beyond matching ids: bytes survive, streams never cut a character, no text or
// regex makes it slow.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/split_regex.h"
#include "text/utf8.h"

namespace kakeya::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kQwenSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Ids 0..255 are the bytes; merges follow.
formats::TokenizerFile byte_file() {
  formats::TokenizerFile file;
  for (int b = 0; b < 256; ++b) file.vocab.emplace_back(byte_character(static_cast<std::uint8_t>(b)));
  return file;
}

void add_merge(formats::TokenizerFile& file, const std::string& left, const std::string& right) {
  file.merges.emplace_back(left, right);
  file.vocab.push_back(left + right);
}

std::unique_ptr<Tokenizer> make(formats::TokenizerFile file) {
  auto tokenizer = Tokenizer::create(std::move(file));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

std::vector<Token> ids_of(const Tokenizer& tokenizer, std::string_view text, bool parse_special = true) {
  auto ids = tokenizer.encode(text, parse_special);
  EXPECT_TRUE(ids.ok()) << ids.error().message;
  return std::move(ids).value();
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Utf8, ReplacesAsTheUnicodeStandardShows) {
  // Tables 3-8 to 3-11 of the standard: one U+FFFD per maximal ill-formed part.
  const std::pair<const char*, const char*> cases[] = {
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "rrrrrrrrA"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "rrrrrrrrA"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "rrrrrArrB"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "rrrrA"},
  };
  const auto tokenizer = make(byte_file());
  for (const auto& [bytes, picture] : cases) {
    std::string expected;
    for (const char c : std::string_view(picture)) {
      expected += c == 'r' ? std::string(kReplacement) : std::string(1, c);
    }
    StreamDecoder decoder(*tokenizer, false);
    std::string got;
    for (const char c : std::string_view(bytes)) got += decoder.push(static_cast<std::uint8_t>(c));
    EXPECT_EQ(got + decoder.finish(), expected);
  }
}

TEST(StreamDecoder, NeverEndsAPieceInsideACharacter) {
  const std::string text = "aé€😀b👩‍👩‍👧 \u0301ß世界\n";
  const auto tokenizer = make(byte_file());
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    StreamDecoder decoder(*tokenizer, true);
    std::string got;
    for (const char c : text.substr(0, cut)) {
      const std::string piece = decoder.push(static_cast<std::uint8_t>(c));
      EXPECT_EQ(valid_utf8_prefix(piece), piece.size());
      got += piece;
    }
    const std::size_t whole = valid_utf8_prefix(std::string_view(text).substr(0, cut));
    EXPECT_EQ(got, text.substr(0, whole));
    EXPECT_EQ(decoder.finish(), whole == cut ? "" : kReplacement);
    EXPECT_EQ(decoder.finish(), "");
  }
}

TEST(Tokenizer, KeepsBytesThatAreNoUtf8) {
  formats::TokenizerFile file = byte_file();
  file.nfc = true;
  file.split_regexes = {kQwenSplit};
  const auto tokenizer = make(std::move(file));
  std::string bytes;
  for (int b = 0; b < 256; ++b) bytes.push_back(static_cast<char>(b));
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) bytes.push_back(static_cast<char>(random()));
  EXPECT_EQ(tokenizer->decode(ids_of(*tokenizer, bytes), false), bytes);
  EXPECT_THAT(ids_of(*tokenizer,
                     "a\xff"
                     "e\xcc\x81"),
              ElementsAre('a', 0xff, 0xc3, 0xa9));  // NFC on both sides
}

// Slow and obvious: find the pair of lowest rank, leftmost, merge it, start over.
std::vector<Token> merge_naively(std::string_view piece, const std::vector<Merge>& merges) {
  std::vector<Token> ids;
  for (const char c : piece) ids.push_back(static_cast<std::uint8_t>(c));
  for (;;) {
    std::size_t best_rank = merges.size(), best_at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      for (std::size_t r = 0; r < best_rank; ++r) {
        if (merges[r].left == ids[i] && merges[r].right == ids[i + 1]) best_rank = r, best_at = i;
      }
    }
    if (best_rank == merges.size()) return ids;
    ids[best_at] = merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(BytePairEncoder, MergesLikeTheDefinitionOnShortAndLongPieces) {
  std::array<Token, 256> bytes{};
  for (int b = 0; b < 256; ++b) bytes[static_cast<std::size_t>(b)] = b;
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<Merge> merges;
    std::vector<Token> symbols = {'a', 'b', 'c'};
    for (Token id = 256; id < 256 + 30; ++id) {
      merges.push_back({symbols[random() % symbols.size()], symbols[random() % symbols.size()], id});
      symbols.push_back(id);
    }
    // Of equal pairs the last one counts; the reference above takes the first: keep pairs unique.
    std::vector<Merge> unique;
    for (const Merge& m : merges) {
      const bool seen = std::any_of(unique.begin(), unique.end(),
                                    [&](const Merge& o) { return o.left == m.left && o.right == m.right; });
      if (!seen) unique.push_back(m);
    }
    const BytePairEncoder encoder(bytes, unique);
    BytePairEncoder::Scratch scratch;
    for (const std::size_t n : {1u, 2u, 3u, 7u, 47u, 48u, 49u, 50u, 130u}) {
      std::string piece;
      for (std::size_t i = 0; i < n; ++i) piece.push_back("abc"[random() % 3]);
      std::vector<Token> got;
      encoder.encode(piece, got, scratch);
      EXPECT_EQ(got, merge_naively(piece, unique)) << piece;
    }
  }
}

TEST(BytePairEncoder, OfEqualMergesTheLastOneCounts) {
  std::array<Token, 256> bytes{};
  for (int b = 0; b < 256; ++b) bytes[static_cast<std::size_t>(b)] = b;
  // "ab" first has rank 0, then rank 2: "bc" of rank 1 goes first.
  const BytePairEncoder encoder(bytes, {{'a', 'b', 300}, {'b', 'c', 301}, {'a', 'b', 300}});
  BytePairEncoder::Scratch scratch;
  std::vector<Token> got;
  encoder.encode("abc", got, scratch);
  EXPECT_THAT(got, ElementsAre('a', 301));
}

TEST(Tokenizer, ALongRunOfOneCharacterIsNotQuadratic) {
  formats::TokenizerFile file = byte_file();
  for (std::string run = "a"; run.size() < 64; run += run) add_merge(file, run, run);
  file.nfc = true;
  file.split_regexes = {kQwenSplit};
  const auto tokenizer = make(std::move(file));
  const std::string run(1 << 20, 'a');
  std::vector<Token> ids;
  EXPECT_LT(seconds_of([&] { ids = ids_of(*tokenizer, run); }), 20.0);  // a quadratic loop takes hours
  EXPECT_EQ(ids, std::vector<Token>((1 << 20) / 64, 256 + 5));
  for (const std::string& text :
       {std::string(1 << 20, ' '), std::string(1 << 20, '\n'), std::string(1 << 20, '1'),
        std::string(1 << 20, '=') + 'x', std::string(1 << 20, ' ') + 'x'}) {
    EXPECT_LT(seconds_of([&] { ids = ids_of(*tokenizer, text); }), 20.0);
    EXPECT_EQ(tokenizer->decode(ids, false), text);
  }
}

TEST(Nfc, ALongRunOfMarksIsNotQuadratic) {
  std::string marks = "a";
  for (int i = 0; i < 100000; ++i) marks += "\u0301\u0323";  // classes 230 and 220: every pair out of order
  std::string normal;
  EXPECT_LT(seconds_of([&] { normal = normalize_nfc(marks); }), 20.0);
  EXPECT_EQ(normal.substr(0, 5), "\u1ea1\u0323");  // the dots go first, one of them combines
  EXPECT_TRUE(normal.ends_with("\u0301\u0301"));
}

TEST(Nfc, ComposesAndOrdersAsTheStandardShows) {
  EXPECT_EQ(normalize_nfc("A\u030a"), "\u00c5");
  EXPECT_EQ(normalize_nfc("\u212b"), "\u00c5");  // Angstrom sign
  EXPECT_EQ(normalize_nfc("\u1e9b\u0323"), "\u1e9b\u0323");
  EXPECT_EQ(normalize_nfc("s\u0323\u0307"), "\u1e69");
  EXPECT_EQ(normalize_nfc("s\u0307\u0323"), "\u1e69");
  EXPECT_EQ(normalize_nfc("\u1112\u1161\u11ab"), "\ud55c");  // Hangul
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093c");        // a composition that is excluded
  EXPECT_EQ(normalize_nfc("plain ascii\n"), "plain ascii\n");
  EXPECT_EQ(normalize_nfc(""), "");
}

TEST(SplitRegex, RefusesWhatPcreWouldReadDifferently) {
  for (const char* pattern :
       {"[a[b]]", "[a&&b]", "\\w+", "\\b", "\\h", "^a", "a$", "(?<name>a)", "(?i)a", "(*UTF)a", "(?R)",
        "[\\S]", "a\\", "[", "(", "\\p{Nonsense}", "a{2,1}", "\\1"}) {
    const auto regex = SplitRegex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    EXPECT_EQ(regex.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(regex.error().message, HasSubstr("split regex"));
  }
}

std::vector<std::string> split(const std::string& pattern, std::string_view text) {
  const auto regex = SplitRegex::compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.error().message;
  SplitRegex::Scratch scratch;
  std::vector<std::string> out;
  const Status status = regex->split(text, scratch, [&](std::string_view part) { out.emplace_back(part); });
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

TEST(SplitRegex, IsolatesMatchesAndKeepsWhatLiesBetween) {
  EXPECT_THAT(split("[0-9]+", "a12b3"), ElementsAre("a", "12", "b", "3"));
  EXPECT_THAT(split("(?=b)", "abab"), ElementsAre("a", "ba", "b"));
  EXPECT_THAT(split("x", ""), ElementsAre());
  EXPECT_THAT(split("\\s", "a\u180e \u3000"), ElementsAre("a\u180e", " ", "\u3000"));  // U+180E is no space
  EXPECT_THAT(split("\\S", " \u180e"), ElementsAre(" ", "\u180e"));
  EXPECT_THAT(split("\\u0041", "xA"), ElementsAre("x", "A"));
  EXPECT_THAT(split("\\p{N}", "a\U0001d2c0"), ElementsAre("a", "\U0001d2c0"));    // a number since Unicode 15
  EXPECT_THAT(split("[\\p{L}]", "!\U00031350"), ElementsAre("!", "\U00031350"));  // a letter since Unicode 15
}

// Each would need years: nested repeats, and a repeat that fails at every start.
TEST(SplitRegex, HostilePatternsGiveUpInsteadOfHanging) {
  for (const char* pattern : {"(a+)+b", "(a|aa)+b", "(?:a*)*b", "a*a*a*a*a*a*b", "(?:\\s*\\s*)*x|zzz"}) {
    const auto regex = SplitRegex::compile(pattern);
    ASSERT_TRUE(regex.ok()) << regex.error().message;
    SplitRegex::Scratch scratch;
    const std::string text = std::string(50000, 'a') + std::string(50000, ' ');
    std::size_t bytes = 0;
    Status status;
    EXPECT_LT(seconds_of([&] {
                status = regex->split(text, scratch, [&](std::string_view part) { bytes += part.size(); });
              }),
              60.0);
    if (!status.ok()) {
      EXPECT_THAT(status.error().message, HasSubstr("gave up at byte"));
    } else {
      EXPECT_EQ(bytes, text.size());
    }
  }
}

TEST(Tokenizer, RefusesTextsBeyondItsLimit) {
  const auto tokenizer = make(byte_file());
  const auto ids = tokenizer->encode(std::string((std::size_t{64} << 20) + 1, 'a'), true);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(ids.error().message, HasSubstr("expected at most 67108864"));
}

TEST(Tokenizer, UnknownIdsDecodeToNothing) {
  const auto tokenizer = make(byte_file());
  const std::vector<Token> ids = {'a', -1, 256, 2147483647, 'b'};
  EXPECT_EQ(tokenizer->decode(ids, false), "ab");
}

formats::AddedToken added(Token id, const std::string& content, bool special) {
  formats::AddedToken token;
  token.id = id;
  token.content = content;
  token.special = special;
  return token;
}

TEST(Tokenizer, FindsTheLongestAddedTokenAndRespectsParseSpecial) {
  formats::TokenizerFile file = byte_file();
  file.added = {added(300, "<a>", true), added(301, "<a><b>", true), added(302, "<t>", false)};
  const auto tokenizer = make(std::move(file));
  EXPECT_THAT(ids_of(*tokenizer, "<a><b><a><t>"), ElementsAre(301, 300, 302));
  EXPECT_THAT(ids_of(*tokenizer, "<a><t>", false), ElementsAre('<', 'a', '>', 302));
  EXPECT_EQ(tokenizer->decode(std::vector<Token>{300, 'x', 302}, true), "x<t>");
  EXPECT_EQ(tokenizer->vocab_size(), 303u);
}

TEST(Tokenizer, RefusesFilesThatContradictThemselves) {
  const auto refused = [](formats::TokenizerFile file, const char* piece) {
    const auto tokenizer = Tokenizer::create(std::move(file));
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_THAT(tokenizer.error().message, HasSubstr(piece));
  };
  formats::TokenizerFile file = byte_file();
  file.vocab['a'].clear();
  refused(file, "no token for byte 97");
  file = byte_file();
  file.vocab.emplace_back("a");
  refused(file, "another id already");
  file = byte_file();
  file.merges = {{"a", "b"}};
  refused(file, "merge 0");
  file = byte_file();
  file.added = {added('b', "a", false)};
  refused(file, "contradicts the vocabulary");
  file = byte_file();
  file.added = {added(300, "a", false)};
  refused(file, "contradicts the vocabulary");
  file = byte_file();
  file.added = {added(300, "<x>", false), added(301, "<x>", false)};
  refused(file, "twice");
  file = byte_file();
  file.add_bos_token = true;
  file.bos_token = "<s>";
  refused(file, "is no token");
  file = byte_file();
  file.split_regexes = {"("};
  refused(file, "split regex");
}

}  // namespace
}  // namespace kakeya::text
