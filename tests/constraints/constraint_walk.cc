// constraint-walk TOKENIZER: JSON lines in, JSON lines out, for tests.
// in:  {kind, text, tools, parallel, after, optional, walks, tokens, seed, texts}
// out: {error, code} or {walks: [{text, ended}], accepted: [bool per text], masks, mean_us, worst_us (CPU
// time of a mask)} A walk takes random allowed tokens; after `tokens` of them it takes what closes, as long
// as that is allowed.
#include <kakeya/constraint.h>

#include <cstdio>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/constraint.h"
#include "text/tokenizer.h"

namespace {

using Json = nlohmann::ordered_json;  // the order of a tool's properties counts
using namespace kakeya;

// Of this process, which has one thread: other programs do not count.
double cpu_us() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

struct Timing {
  std::size_t masks = 0;
  double total_us = 0, worst_us = 0;
};

class Walker {
 public:
  Walker(const text::Tokenizer& tokenizer, std::vector<Token> stops)
      : tokenizer_(tokenizer), stops_(std::move(stops)), bits_((tokenizer.vocab_size() + 63) / 64) {
    for (const char* closer : {"\"", "}", "]", ":", ",", "0", "1"}) {
      if (const auto id = tokenizer.token_id(closer)) closers_.push_back(*id);
    }
  }

  void fill(TokenConstraint& constraint) {
    const double begin = cpu_us();
    constraint.allowed(bits_);
    const double spent = cpu_us() - begin;
    ++timing.masks;
    timing.total_us += spent;
    timing.worst_us = std::max(timing.worst_us, spent);
  }
  bool allows(Token id) const { return (bits_[id / 64] >> (id % 64) & 1) != 0; }

  Json walk(TokenConstraint& constraint, std::size_t tokens, std::mt19937_64& random) {
    std::vector<Token> ids;
    while (ids.size() < tokens + 400) {
      fill(constraint);
      const Token id = pick(ids.size() >= tokens, random);
      if (id < 0) return {{"text", tokenizer_.decode(ids, false)}, {"ended", false}, {"empty_mask", true}};
      constraint.accept(id);
      if (std::find(stops_.begin(), stops_.end(), id) != stops_.end()) {
        return {{"text", tokenizer_.decode(ids, false)}, {"ended", true}};
      }
      ids.push_back(id);
    }
    return {{"text", tokenizer_.decode(ids, false)}, {"ended", false}};
  }

  bool accepts(TokenConstraint& constraint, const std::vector<Token>& ids) {
    for (const Token id : ids) {
      fill(constraint);
      if (!allows(id)) return false;
      constraint.accept(id);
    }
    fill(constraint);
    return allows(stops_[0]);
  }

  Timing timing;

 private:
  Token pick(bool closing, std::mt19937_64& random) {
    if (closing && allows(stops_[0])) return stops_[0];
    // Half of the tokens from the structural ones, or walks would hardly ever leave a string.
    if (closing || random() % 2 == 0) {
      std::vector<Token> usable;
      for (const Token id : closers_) {
        if (allows(id)) usable.push_back(id);
      }
      // Now and then something else, where no closer leads to an end.
      const bool other = closing && random() % 8 == 0;
      if (!usable.empty() && !other) return closing ? usable[0] : usable[random() % usable.size()];
    }
    std::size_t count = 0;
    for (const std::uint64_t word : bits_) count += static_cast<std::size_t>(__builtin_popcountll(word));
    if (count == 0) return -1;
    std::size_t skip = random() % count;
    for (std::size_t id = 0;; ++id) {
      if (allows(static_cast<Token>(id)) && skip-- == 0) return static_cast<Token>(id);
    }
  }

  const text::Tokenizer& tokenizer_;
  std::vector<Token> stops_, closers_;
  std::vector<std::uint64_t> bits_;
};

ConstraintSpec spec_of(const Json& in) {
  ConstraintSpec spec;
  const std::string kind = in.at("kind");
  spec.kind = kind == "json_object" ? ConstraintKind::kJsonObject
              : kind == "schema"    ? ConstraintKind::kJsonSchema
              : kind == "grammar"   ? ConstraintKind::kGrammar
                                    : ConstraintKind::kToolCalls;
  spec.text = in.value("text", "");
  for (const auto& tool : in.value("tools", Json::array())) spec.tools_json.push_back(tool.dump());
  spec.parallel = in.value("parallel", true);
  spec.after = in.value("after", "");
  spec.optional = in.value("optional", false);
  return spec;
}

Json answer(const Json& in, const text::Tokenizer& tokenizer, engine::ConstraintMaker& maker,
            const std::vector<Token>& stops) {
  const ConstraintSpec spec = spec_of(in);
  Walker walker(tokenizer, stops);
  std::mt19937_64 random(in.value("seed", 0));
  Json out{{"walks", Json::array()}, {"accepted", Json::array()}};
  const auto fresh = [&] { return maker.make(tokenizer, stops, spec); };
  if (const auto first = fresh(); !first.ok()) {
    return {{"error", first.error().message}, {"code", to_string(first.error().code)}};
  }
  for (int i = 0; i < in.value("walks", 0); ++i) {
    out["walks"].push_back(walker.walk(**fresh(), in.value("tokens", 40), random));
  }
  for (const std::string text : in.value("texts", Json::array())) {
    const auto ids = tokenizer.encode(text, false);
    out["accepted"].push_back(ids.ok() && walker.accepts(**fresh(), *ids));
  }
  const Timing& t = walker.timing;
  out["masks"] = t.masks;
  out["mean_us"] = t.masks > 0 ? t.total_us / static_cast<double>(t.masks) : 0;
  out["worst_us"] = t.worst_us;
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: constraint-walk TOKENIZER\n"), 2;
  auto file = formats::load_tokenizer_file(argv[1]);
  if (!file.ok()) return std::fprintf(stderr, "%s\n", file.error().message.c_str()), 1;
  const auto tokenizer = text::Tokenizer::create(std::move(file).value());
  if (!tokenizer.ok()) return std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str()), 1;
  std::vector<Token> stops;
  for (const char* name : {"<|im_end|>", "<|endoftext|>"}) {
    if (const auto id = (*tokenizer)->token_id(name)) stops.push_back(*id);
  }
  engine::ConstraintMaker maker;
  for (std::string line; std::getline(std::cin, line);) {
    // Walks may end inside a character only when something is wrong; the test sees the replacement.
    std::cout << answer(Json::parse(line), **tokenizer, maker, stops)
                     .dump(-1, ' ', false, Json::error_handler_t::replace)
              << std::endl;
  }
}
