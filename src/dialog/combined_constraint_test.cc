// Constraints made of others, on the embedded pair's tokens.
#include "dialog/combined_constraint.h"

#include <gtest/gtest.h>

namespace kakeya::dialog {
namespace {

class CallsIfBegunTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    EngineOptions options;
    options.threads = 1;
    auto opened = Engine::open(options);
    ASSERT_TRUE(opened.ok());
    engine_ = std::move(opened).value();
  }
  static void TearDownTestSuite() { engine_.reset(); }

  static std::unique_ptr<TokenConstraint> constraint() {
    ConstraintSpec spec;
    spec.kind = ConstraintKind::kToolCalls;
    spec.tool_format = ToolFormat::kLlama3;
    spec.tools_json = {
        R"({"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}})"};
    auto calls = engine_->new_constraint(spec);
    EXPECT_TRUE(calls.ok());
    return calls_if_begun(*engine_, std::move(calls).value());
  }
  // How many tokens may follow the text.
  static std::size_t choices_after(const std::string& text) {
    const auto made = constraint();
    for (const char c : text) made->accept(engine_->encode(std::string(1, c), false).value().back());
    std::vector<std::uint64_t> bits((vocab() + 63) / 64);
    made->allowed(bits);
    std::size_t count = 0;
    for (const std::uint64_t word : bits) count += static_cast<std::size_t>(__builtin_popcountll(word));
    return count;
  }
  static std::size_t vocab() { return engine_->target().vocab_size; }

  inline static std::unique_ptr<Engine> engine_;
};

TEST_F(CallsIfBegunTest, AnyTextIsFree) {
  for (const char* text :
       {"", "Hello", "{", "{\"name", "{\"name\": \"To", "{\"name\": \"Tom\", \"age\": 3",
        "[{\"name\": \"add\"", "So: {\"name\": \"add\"", "{\"city\": \"a\", \"b\": \"c\""}) {
    EXPECT_EQ(choices_after(text), vocab()) << text;
  }
}

TEST_F(CallsIfBegunTest, ACallThatNamesAToolKeepsToItsSchema) {
  for (const char* text : {"{\"name\": \"add\"", "{\"name\": \"add\", \"parameters\": {",
                           "{\"name\":\"add\",\"parameters\":{\"a\": 1"}) {
    EXPECT_LT(choices_after(text), 200u) << text;
  }
}

}  // namespace
}  // namespace kakeya::dialog
