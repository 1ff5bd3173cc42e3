// Constraints through the SDK, on the embedded pair's own vocabulary.
#include <gtest/gtest.h>
#include <kakeya/constraint.h>

#include "engine/pair_test_support.h"

namespace kakeya::engine {
namespace {

bool has(const std::vector<std::uint64_t>& bits, Token id) { return (bits[id / 64] >> (id % 64) & 1) != 0; }

TEST(Constraint, RulesTheEmbeddedPairTokenByToken) {
  const auto engine = test::take(Engine::open({}));
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kGrammar;
  spec.text = "root ::= \"yes\" | \"no, \" [a-z]+";
  std::vector<std::uint64_t> bits((engine->target().vocab_size + 63) / 64);
  for (const auto& [text, fits] :
       {std::pair{"yes", true}, {"no, thanks", true}, {"no", false}, {"maybe", false}}) {
    const auto constraint = test::take(engine->new_constraint(spec));
    bool ok = true;
    for (const Token id : test::take(engine->encode(text, false))) {
      std::fill(bits.begin(), bits.end(), ~std::uint64_t{0});
      constraint->allowed(bits);
      ok = ok && has(bits, id);
      if (!ok) break;
      constraint->accept(id);
    }
    constraint->allowed(bits);
    ok = ok && has(bits, engine->stop_ids()[0]);
    EXPECT_EQ(ok, fits) << text;
  }
}

TEST(Constraint, AfterTheStopOnlyTheStopIsAllowed) {
  const auto engine = test::take(Engine::open({}));
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kGrammar;
  spec.text = "root ::= \"a\"*";
  const auto constraint = test::take(engine->new_constraint(spec));
  constraint->accept(engine->stop_ids()[0]);
  std::vector<std::uint64_t> bits((engine->target().vocab_size + 63) / 64);
  constraint->allowed(bits);
  for (Token id = 0; id < static_cast<Token>(engine->target().vocab_size); ++id) {
    const auto& stops = engine->stop_ids();
    EXPECT_EQ(has(bits, id), std::find(stops.begin(), stops.end(), id) != stops.end());
  }
}

TEST(Constraint, ErrorsComeAsValues) {
  const auto engine = test::take(Engine::open({}));
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kJsonSchema;
  spec.text = R"({"not": {}})";
  const auto refused = engine->new_constraint(spec);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace kakeya::engine
