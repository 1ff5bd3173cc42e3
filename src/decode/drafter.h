// The seam between the draft-verify loop and whatever guesses tokens ahead: four verbs, begin, observe,
// propose and stats. A drafter decides only how many tokens a pass of the target yields, never which.
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/rows.h"

namespace kakeya::decode {

struct ProposeRequest {
  Token anchor = 0;                       // the newest token; its state is not observed yet
  std::size_t block = 0;                  // positions to fill, anchor included; >= 2
  std::size_t wanted = 0;                 // proposals that will be verified, <= block - 1
  const SamplingOptions* draw = nullptr;  // set: draw proposals from the draft's own distribution
};

struct Proposal {
  std::span<const Token> tokens;  // [wanted]; token i is for position length() + 1 + i
  Rows<const float> q;            // [wanted, vocab] they were drawn from; no rows when they are certain
};                                // valid until the next call of the drafter

struct DraftStats {
  std::uint64_t observed_rows = 0;
  std::uint64_t passes = 0;    // calls of propose
  std::uint64_t proposed = 0;  // tokens handed out
};

class Drafter {
 public:
  virtual ~Drafter() = default;

  // Layers of the target whose output observe() wants, 0-based; may be empty.
  virtual std::span<const std::size_t> tap_layers() const = 0;
  virtual std::size_t block_size() const = 0;  // positions it was made for, anchor included
  virtual std::size_t length() const = 0;      // tokens observed since begin()

  // A new sequence that shares its first `kept` <= length() tokens with the last one.
  virtual void begin(std::size_t kept) = 0;
  // The next settled tokens of the sequence and their tapped states [tokens, taps * hidden].
  virtual Status observe(std::span<const Token> tokens, Rows<const float> taps) = 0;
  virtual Result<Proposal> propose(const ProposeRequest& request) = 0;
  virtual const DraftStats& stats() const = 0;
};

}  // namespace kakeya::decode
