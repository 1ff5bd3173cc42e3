// Grammars in the style of llama.cpp's grammars/ folder, and mistakes in grammars.
#include <gmock/gmock.h>

#include "grammar/test_support.h"

namespace kakeya::grammar {
namespace {

using ::testing::HasSubstr;

constexpr char kArithmetic[] = R"GBNF(
# after llama.cpp's grammars/arithmetic.gbnf
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)GBNF";

constexpr char kJson[] = R"GBNF(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
)GBNF";

TEST(Gbnf, KeepsToAnArithmeticGrammar) {
  Machine m = test::gbnf(kArithmetic);
  EXPECT_TRUE(test::accepts(m, "a+b=3\n"));
  EXPECT_TRUE(test::accepts(m, "(x_1 *(2 -y))= z\nq=1\n"));
  EXPECT_TRUE(test::begins(m, "((((((((((1"));
  EXPECT_FALSE(test::begins(m, "a+*"));
  EXPECT_FALSE(test::accepts(m, "a+b=3"));
  EXPECT_FALSE(test::begins(m, "(a+b=3"));
}

TEST(Gbnf, KeepsToAJsonGrammar) {
  Machine m = test::gbnf(kJson);
  EXPECT_TRUE(test::accepts(m, R"({"a": [1, -2.5e+1, "x\u00e9\n", {"b": null}], "c": {}})"));
  EXPECT_TRUE(test::accepts(m, "{\"k\": \"\xf0\x9f\x98\x80\"} "));
  EXPECT_FALSE(test::begins(m, "[1"));
  EXPECT_FALSE(test::begins(m, R"({"a": 01)"));
  EXPECT_FALSE(test::begins(m, "{\"a\": \"\x01"));
  EXPECT_FALSE(test::accepts(m, R"({"a": 1)"));
}

TEST(Gbnf, KeepsToAListGrammar) {
  Machine m = test::gbnf("root ::= item+\nitem ::= \"- \" [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ \"\\n\"");
  EXPECT_TRUE(test::accepts(m, "- one\n- zw\xc3\xb6lf\n"));
  EXPECT_FALSE(test::begins(m, "one"));
  EXPECT_FALSE(test::begins(m, "- a\xe2\x80\xa8"));  // U+2028
  EXPECT_FALSE(test::begins(m, "- a\xc2\x85"));      // U+0085
}

TEST(Gbnf, CountsRepetitions) {
  Machine m = test::gbnf("root ::= \"a\"{2} \"b\"{1,3} \"c\"{2,} [de]{0,2} \"f\"{,1}");
  EXPECT_TRUE(test::accepts(m, "aabcc"));
  EXPECT_TRUE(test::accepts(m, "aabbbccccccccdef"));
  for (const char* wrong : {"abcc", "aacc", "aabbbbcc", "aabc", "aabccdedf", "aabccff"}) {
    EXPECT_FALSE(test::accepts(m, wrong)) << wrong;
  }
}

TEST(Gbnf, RepetitionBindsToTheWholeLiteralOrGroup) {
  Machine m = test::gbnf("root ::= \"ab\"* (\"c\" | \"d\")? .");
  EXPECT_TRUE(test::accepts(m, "ababdx"));
  EXPECT_TRUE(test::accepts(m, "\xe6\xbc\xa2"));
  EXPECT_FALSE(test::accepts(m, "abbx"));
}

TEST(Gbnf, HugeCountsTakeNoMemory) {
  const auto grammar = parse_gbnf("root ::= (\"a\" [b-z]{1,1000000000}){999999999} \"!\"");
  ASSERT_TRUE(grammar.ok());
  const auto program = compile(*grammar);
  ASSERT_TRUE(program.ok());
  EXPECT_LT(program->nodes.size(), 20u);
}

TEST(Gbnf, EmptyRoundsOfARepetitionEnd) {
  Machine m = test::gbnf("root ::= (\"a\"? \"b\"*){3,1000000000} (\"\" | x)* \"c\"\nx ::= \"\" | \"y\"");
  EXPECT_TRUE(test::accepts(m, "c"));
  EXPECT_TRUE(test::accepts(m, "aabbabyyc"));
  EXPECT_FALSE(test::begins(m, "aca"));
}

TEST(Gbnf, RightRecursionKeepsTheStackFlat) {
  Machine m = test::gbnf("root ::= \"a\" root | \"b\"");
  StateId state = m.start();
  for (int i = 0; i < 100000; ++i) state = m.step(state, 'a');
  EXPECT_LT(m.states(), 10u);
  EXPECT_TRUE(m.may_end(m.step(state, 'b')));
}

TEST(Gbnf, NamesTheLineAndColumnOfMistakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"root ::= \"a", "line 1, column 10: the literal does not end"},
      {"root ::= [a-", "line 1, column 10: the class does not end"},
      {"root ::= (\"a\"\n", "line 2, column 1: found the end of the text, expected ')'"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: rule 'root' is defined twice"},
      {"root ::= x\n", "line 1, column 10: rule 'x' is not defined"},
      {"main ::= \"x\"", "no rule 'root'"},
      {"", "no rule 'root'"},
      {"root = \"a\"", "line 1, column 6: found '=', expected '::='"},
      {"root ::= *", "line 1, column 10: found '*', expected something before it to repeat"},
      {"root ::= \"a\"{3,2}", "line 1, column 13: the smaller count comes first"},
      {"root ::= \"a\"{99999999999}", "a count above"},
      {"root ::= \"\\q\"", "line 1, column 11: unknown escape"},
      {"root ::= \"\\ud800\"", "code point 55296"},
      {"root ::= [z-a]", "line 1, column 11: the smaller character"},
      {"root ::= \"a\" )", "line 1, column 14: found ')', expected the end of the rule"},
      {"root ::= \"\xff\"", "not UTF-8"},
  };
  for (const auto& [text, message] : cases) {
    const auto grammar = parse_gbnf(text);
    ASSERT_FALSE(grammar.ok()) << text;
    EXPECT_EQ(grammar.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(grammar.error().message, HasSubstr(message));
  }
}

TEST(Gbnf, RefusesWhatNoAutomatonCanRun) {
  const std::pair<const char*, const char*> cases[] = {
      {"root ::= root \"a\" | \"b\"", "rule 'root' begins with itself"},
      {"root ::= a\na ::= b \"x\"\nb ::= \"\" a | \"c\"", "begins with itself"},
      {"root ::= e a | \"b\"\ne ::= \"x\"?\na ::= e* root", "begins with itself"},
      {"root ::= \"a\" root", "matches no finite text"},
      {"root ::= [] | \"a\" x\nx ::= \"b\" x", "matches no finite text"},
  };
  for (const auto& [text, message] : cases) {
    const auto grammar = parse_gbnf(text);
    ASSERT_TRUE(grammar.ok()) << text << grammar.error().message;
    const auto program = compile(*grammar);
    ASSERT_FALSE(program.ok()) << text;
    EXPECT_THAT(program.error().message, HasSubstr(message));
  }
  EXPECT_FALSE(parse_gbnf("root ::= " + std::string(1000, '(') + "\"a\"" + std::string(1000, ')')).ok());
}

TEST(Gbnf, DeadAlternativesAreCutAway) {
  Machine m = test::gbnf("root ::= \"a\" x | \"b\"\nx ::= \"c\" x");
  EXPECT_FALSE(test::begins(m, "a"));
  EXPECT_TRUE(test::accepts(m, "b"));
}

}  // namespace
}  // namespace kakeya::grammar
