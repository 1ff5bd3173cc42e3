// Small vocabularies and matching for tests of this folder.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "grammar/constraint.h"
#include "grammar/gbnf.h"

namespace kakeya::grammar::test {

// Ids 0..255 are the bytes, then `words`, then the stop token.
inline std::shared_ptr<const Vocabulary> vocabulary(const std::vector<std::string>& words = {}) {
  std::vector<std::string> bytes;
  for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
  bytes.insert(bytes.end(), words.begin(), words.end());
  bytes.emplace_back();
  auto out = Vocabulary::create(bytes, {static_cast<Token>(bytes.size() - 1)});
  EXPECT_TRUE(out.ok());
  return std::make_shared<const Vocabulary>(std::move(out).value());
}

inline Machine machine(const Grammar& grammar, const std::vector<std::string>& words = {},
                       const MachineLimits& limits = {}) {
  auto program = compile(grammar);
  EXPECT_TRUE(program.ok()) << program.error().message;
  return {std::make_shared<const Program>(std::move(program).value()), vocabulary(words), limits};
}

inline Machine gbnf(std::string_view text, const std::vector<std::string>& words = {},
                    const MachineLimits& limits = {}) {
  auto grammar = parse_gbnf(text);
  EXPECT_TRUE(grammar.ok()) << (grammar.ok() ? "" : grammar.error().message);
  return machine(*grammar, words, limits);
}

inline StateId after(Machine& m, std::string_view text) {
  StateId state = m.start();
  for (const char c : text) state = m.step(state, static_cast<std::uint8_t>(c));
  return state;
}
inline bool begins(Machine& m, std::string_view text) { return after(m, text) != kDeadState; }
inline bool accepts(Machine& m, std::string_view text) { return m.may_end(after(m, text)); }

inline std::vector<std::uint64_t> mask(Machine& m, StateId state) {
  std::vector<std::uint64_t> bits((m.vocabulary().size() + 63) / 64);
  m.fill(state, bits);
  return bits;
}
inline bool has(const std::vector<std::uint64_t>& bits, std::size_t id) {
  return (bits[id / 64] >> (id % 64) & 1) != 0;
}

}  // namespace kakeya::grammar::test
