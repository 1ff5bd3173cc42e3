// Hostile schemas: bounded memory and work, errors with a place. What schemas mean is tested against another
// validator in tests/constraints.
#include "grammar/schema.h"

#include <gmock/gmock.h>

#include "grammar/test_support.h"

namespace kakeya::grammar {
namespace {

using ::testing::HasSubstr;

Result<Program> program(const std::string& schema) {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kJsonSchema;
  spec.text = schema;
  KAKEYA_ASSIGN(const Grammar grammar, grammar_of(spec));
  return compile(grammar);
}

void expect_refused(const std::string& schema, ErrorCode code, const std::string& message) {
  const auto built = program(schema);
  ASSERT_FALSE(built.ok()) << schema.substr(0, 200);
  EXPECT_EQ(built.error().code, code) << built.error().message;
  EXPECT_THAT(built.error().message, HasSubstr(message));
}

std::string repeated(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Schema, HugeCountsTakeNoMemory) {
  const auto built = program(R"({"type":"array","minItems":1000000,"maxItems":1000000000,
      "items":{"type":"string","minLength":100000,"maxLength":99999999999}})");
  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_LT(built->nodes.size(), 500u);
  EXPECT_TRUE(program(R"({"type":"string","pattern":"^((a{1,1000000}b){1,1000000}){1,1000000}$"})").ok());
}

TEST(Schema, BoundsNestingSizeAndWork) {
  expect_refused(repeated("{\"items\":", 100) + "{}" + repeated("}", 100), ErrorCode::kUnsupported,
                 "nests deeper");
  expect_refused("{\"title\":\"" + std::string(2 << 20, 'x') + "\"}", ErrorCode::kUnsupported, "bytes");
  // Merging the two halves of each level merges both halves of the next one, twice: 2^40 schemas.
  std::string doubling = R"({"allOf":[{"$ref":"#/$defs/d0"},{"$ref":"#/$defs/e0"}],"$defs":{)";
  for (int i = 0; i < 40; ++i) {
    const std::string d = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
    const std::string e = R"({"$ref":"#/$defs/e)" + std::to_string(i + 1) + "\"}";
    doubling += "\"d" + std::to_string(i) + R"(":{"properties":{"l":)" + d + ",\"r\":" + e + "}},";
    doubling += "\"e" + std::to_string(i) + R"(":{"properties":{"l":)" + e + ",\"r\":" + d + "}},";
  }
  expect_refused(doubling + R"("d40":{"minLength":1},"e40":{"minLength":2}}})", ErrorCode::kUnsupported,
                 "schemas inside schemas");
  expect_refused(R"({"anyOf":[)" + repeated("{},", 250000) + "{}]}", ErrorCode::kUnsupported,
                 "schemas inside schemas");
}

TEST(Schema, LongChainsOfReferencesAreFollowed) {
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 2000; ++i) {
    chain += "\"d" + std::to_string(i) + R"(":{"type":"array","items":{"$ref":"#/$defs/d)" +
             std::to_string(i + 1) + "\"}},";
  }
  const auto built = program(chain + R"("d2000":{"type":"null"}}})");
  EXPECT_TRUE(built.ok()) << built.error().message;
}

TEST(Schema, SaysWhereItIsWrong) {
  expect_refused("{", ErrorCode::kInvalidArgument, "byte 2: not valid JSON");
  expect_refused("[]", ErrorCode::kInvalidArgument, "#: expected a schema");
  expect_refused(R"({"properties":{"a/b":{"type":"array","items":{"type":"strin"}}}})",
                 ErrorCode::kInvalidArgument, "#/properties/a~1b/items/type: unknown type 'strin'");
  expect_refused(R"({"properties":3})", ErrorCode::kInvalidArgument, "#/properties: expected an object");
  expect_refused(R"({"type":"string","minLength":-1})", ErrorCode::kInvalidArgument,
                 "#/minLength: expected a whole");
  expect_refused(R"({"type":"string","pattern":"[z-a]"})", ErrorCode::kInvalidArgument,
                 "#/pattern: pattern, byte 4");
  expect_refused(R"({"$defs":{"t":{"not":{}}},"properties":{"a":{"$ref":"#/$defs/t"}}})",
                 ErrorCode::kUnsupported, "#/$defs/t/not: this keyword cannot be kept");
}

TEST(Schema, NumbersOfAnySizeAreRead) {
  expect_refused(R"({"type":"integer","minimum":1e999})", ErrorCode::kInvalidArgument, "not valid JSON");
  expect_refused(R"({"type":"integer","minimum":5000000000000000})", ErrorCode::kUnsupported, "#/minimum");
  EXPECT_TRUE(program(R"({"type":"integer","minimum":-1e300,"maximum":1e300})").ok());
}

TEST(Constraint, OptionalNeedsAMarker) {
  ConstraintSpec spec;
  spec.optional = true;
  const auto grammar = grammar_of(spec);
  ASSERT_FALSE(grammar.ok());
  EXPECT_EQ(grammar.error().code, ErrorCode::kInvalidArgument);
}

TEST(Constraint, ToolsAreNamedInErrors) {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kToolCalls;
  const auto message = [&] {
    const auto grammar = grammar_of(spec);
    return grammar.ok() ? std::string() : grammar.error().message;
  };
  EXPECT_THAT(message(), HasSubstr("expected 1 to"));
  spec.tools_json = {R"({"function":{"name":"f"}})", R"({"function":{"name":"g","parameters":{"not":{}}}})"};
  EXPECT_THAT(message(), HasSubstr("tools[1].parameters: #/not"));
  spec.tools_json = {R"({"name":"f"})", R"({"name":"f"})"};
  EXPECT_THAT(message(), HasSubstr("tools[1]: a second tool named 'f'"));
  spec.tools_json = {R"({"name":"f","parameters":{"type":"array"}})"};
  EXPECT_THAT(message(), HasSubstr("expected the type object"));
}

}  // namespace
}  // namespace kakeya::grammar
