// Masks against byte-by-byte stepping, limits, UTF-8, memory.
#include "grammar/machine.h"

#include <random>
#include <regex>

#include "grammar/test_support.h"

namespace kakeya::grammar {
namespace {

const std::vector<std::string> kWords{
    "aa",    "ab",           "abc",        "b\"",      "\",",      "\": ",     "{\"", "\"}",  "true",
    "false", "nul",          "123",        "\xe6\xbc", "\xbc\xa2", "\xa2x",    "  ",  "\n  ", "aaaa",
    "}}",    "\xf0\x9f\x98", "\x98\x80\"", "</a",      "a>b",      "<a></a>b", "ab",  "\\\"", "\\u00"};

constexpr const char* kGrammars[] = {
    "root ::= \"a\"* \"b\" [a-z]*",
    "root ::= [^\"]* \"\\\"\" \"}\"{0,3}",
    ("root ::= v\nv ::= \"{\\\"\" k (\"\\\",\\\"\" k)* \"\\\"}\" | \"true\" | \"123\"\nk ::= [a-c]{1,3} "
     "(\"\\\": {\" v)?"),
    "root ::= (\"a\" | \"aa\" | \"ab\"){2,5} [^a]{0,2}",
    "root ::= (\"aa\"? \"a\"){1,40} \"b\"",
    "root ::= \"<a>\" (root)* \"</a>\" | [b-z]",
    "root ::= [\\u6f00-\\u6fff\\U0001F600-\\U0001F64F]{1,2} \"\\\"\"?",
};

// What each token does is found out byte by byte, on a machine of its own that makes no masks.
TEST(Mask, IsWhatSteppingEveryTokenGives) {
  std::mt19937 random(1);
  for (const char* text : kGrammars) {
    Machine masks = test::gbnf(text, kWords), steps = test::gbnf(text, kWords);
    const Vocabulary& v = masks.vocabulary();
    for (int walk = 0; walk < 40; ++walk) {
      StateId at = masks.start(), other = steps.start();
      for (int n = 0; n < 30; ++n) {
        const auto bits = test::mask(masks, at);
        std::vector<Token> usable;
        for (std::size_t id = 0; id + 1 < v.size(); ++id) {
          StateId s = other;
          for (const char c : v.bytes(static_cast<Token>(id)))
            s = steps.step(s, static_cast<std::uint8_t>(c));
          ASSERT_EQ(test::has(bits, id), s != kDeadState)
              << text << " token " << v.bytes(static_cast<Token>(id));
          if (s != kDeadState) usable.push_back(static_cast<Token>(id));
        }
        ASSERT_EQ(test::has(bits, v.size() - 1), steps.may_end(other)) << text;
        ASSERT_TRUE(!usable.empty() || steps.may_end(other)) << text;
        if (usable.empty()) break;
        for (const char c : v.bytes(usable[random() % usable.size()])) {
          at = masks.step(at, static_cast<std::uint8_t>(c));
          other = steps.step(other, static_cast<std::uint8_t>(c));
        }
      }
    }
  }
}

TEST(Machine, AgreesWithStdRegex) {
  const std::pair<const char*, const char*> cases[] = {
      {"root ::= (\"a\" | \"aa\" | \"ab\"){2,5} [^a]{0,2}", "(a|aa|ab){2,5}[^a]{0,2}"},
      {"root ::= (\"a\"{1,2} \"b\"?)* \"b\"{2,3}", "(a{1,2}b?)*b{2,3}"},
      {"root ::= ((\"a\" | \"b\"){2}){1,3} | (\"ab\"*){5} \"c\"", "((a|b){2}){1,3}|((ab)*){5}c"},
  };
  for (const auto& [grammar, regex] : cases) {
    Machine m = test::gbnf(grammar);
    const std::regex expected(regex);
    for (std::size_t length = 0; length <= 8; ++length) {
      std::size_t count = 1;
      for (std::size_t i = 0; i < length; ++i) count *= 3;
      for (std::size_t n = 0; n < count; ++n) {
        std::string text;
        for (std::size_t i = 0, rest = n; i < length; ++i, rest /= 3) text += "abc"[rest % 3];
        ASSERT_EQ(test::accepts(m, text), std::regex_match(text, expected)) << regex << " " << text;
      }
    }
  }
}

TEST(Mask, OfAnEndHoldsTheStopTokenAlone) {
  Machine m = test::gbnf("root ::= \"ab\"", kWords);
  const auto bits = test::mask(m, test::after(m, "ab"));
  for (std::size_t id = 0; id < m.vocabulary().size(); ++id) {
    EXPECT_EQ(test::has(bits, id), id + 1 == m.vocabulary().size());
  }
}

TEST(Mask, LetsCharactersBeSplitOverTokens) {
  Machine m = test::gbnf("root ::= \"\xe6\xbc\xa2\" [x-z]", kWords);
  const auto has_word = [&](const std::vector<std::uint64_t>& bits, const std::string& word) {
    for (std::size_t i = 0; i < kWords.size(); ++i) {
      if (kWords[i] == word) return test::has(bits, 256 + i);
    }
    return false;
  };
  auto bits = test::mask(m, m.start());
  EXPECT_TRUE(has_word(bits, "\xe6\xbc"));
  EXPECT_TRUE(test::has(bits, 0xe6));
  EXPECT_FALSE(has_word(bits, "\xbc\xa2"));
  bits = test::mask(m, test::after(m, "\xe6"));
  EXPECT_TRUE(has_word(bits, "\xbc\xa2"));
  bits = test::mask(m, test::after(m, "\xe6\xbc"));
  EXPECT_TRUE(has_word(bits, "\xa2x"));
}

TEST(Mask, IsSharedByCountsThatAreFarFromTheirBounds) {
  Machine m = test::gbnf("root ::= \"\\\"\" [a-z]{900,1000} \"\\\"\"", kWords);
  StateId state = test::after(m, "\"");
  for (int i = 0; i < 800; ++i) {
    test::mask(m, state);
    state = m.step(state, 'a');
  }
  EXPECT_LE(m.masks(), 3u);
  EXPECT_FALSE(m.may_end(m.step(state, '"')));
  for (int i = 0; i < 100; ++i) state = m.step(state, 'b');
  EXPECT_TRUE(m.may_end(m.step(state, '"')));
  for (int i = 0; i < 100; ++i) state = m.step(state, 'b');
  EXPECT_EQ(m.step(state, 'b'), kDeadState);
}

TEST(Machine, ForgetsAndGoesOn) {
  MachineLimits limits;
  limits.max_states = 50;
  Machine small = test::gbnf("root ::= \"(\" root \")\" | [a-z]{3,2000}", {}, limits);
  StateId state = small.start();
  const std::string text = std::string(300, '(') + std::string(1500, 'q') + std::string(300, ')');
  std::size_t most = 0;
  for (const char c : text) {
    state = small.tidy(small.step(state, static_cast<std::uint8_t>(c)));
    ASSERT_NE(state, kDeadState);
    most = std::max(most, small.states());
  }
  EXPECT_TRUE(small.may_end(state));
  EXPECT_LE(most, 52u);
}

TEST(Machine, AmbiguityIsCutAtItsLimit) {
  MachineLimits limits;
  limits.max_stacks = 16;
  Machine m = test::gbnf("root ::= (\"a\" | \"aa\"){1,100000} \"b\"", {}, limits);
  StateId state = m.start();
  for (int i = 0; i < 1000; ++i) state = m.step(state, 'a');
  ASSERT_NE(state, kDeadState);
}

TEST(Vocabulary, NamesWhatIsMissing) {
  EXPECT_FALSE(Vocabulary::create({"a", "b"}, {}).ok());
  EXPECT_FALSE(Vocabulary::create({"a", "b"}, {7}).ok());
  // No token for "b" alone.
  auto vocabulary = Vocabulary::create({"a", "ab", ""}, {2});
  ASSERT_TRUE(vocabulary.ok());
  ConstraintFactory factory(std::make_shared<const Vocabulary>(std::move(vocabulary).value()));
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kGrammar;
  spec.text = "root ::= \"ab\"";
  const auto made = factory.make(spec);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kUnsupported);
}

TEST(Utf8, SequencesMatchExactlyTheRange) {
  const CodeRange ranges[] = {{0, 0x10ffff},    {0x7f, 0x80},      {0x7ff, 0x801},
                              {0x1234, 0x4321}, {0xfff0, 0x10010}, {0x10ffff, 0x10ffff}};
  for (const CodeRange& range : ranges) {
    std::uint64_t count = 0;
    for (const CodeRange& part : normalised({range})) {
      for (const auto& sequence : utf8_sequences(part)) {
        std::uint64_t product = 1;
        for (const ByteRange& byte : sequence) product *= byte.high - byte.low + 1u;
        count += product;
      }
    }
    std::uint64_t expected = 0;
    for (std::uint32_t c = range.low; c <= range.high; ++c) expected += c < 0xd800 || c > 0xdfff;
    EXPECT_EQ(count, expected) << range.low;
  }
}

}  // namespace
}  // namespace kakeya::grammar
