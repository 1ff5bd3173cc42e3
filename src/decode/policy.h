// The seam between the draft-verify loop and whoever chooses how many rows a cycle verifies. A policy learns
// durations as numbers and has no clock. It decides only how fast text comes, never which: its choice depends
// on cycles that are over, so it is independent of the draws of the cycle it chooses for, and AcceptRule::
// kRejection stays exact too.
#pragma once
#include <cstddef>
#include <cstdint>

namespace kakeya::decode {

struct PromptCost {
  std::size_t tokens = 0;  // that were run
  double target_ms = 0;
  // Of the rows that the draft observed before the first token, and in how many pieces.
  double observe_ms = 0;
  std::size_t observed_rows = 0, observed_pieces = 0;
  std::size_t kept = 0;  // tokens before these, in the cache already
};

// What some sequences put into a shared cycle.
struct Load {
  std::size_t rows = 0;        // of the target's pass, those of prompts left out
  double tokens = 0;           // that they expect of it
  std::size_t block_rows = 0;  // of the draft's pass
  double observed = 0;         // tokens that the draft is to observe of it

  void add(const Load& more) {
    rows += more.rows;
    tokens += more.tokens;
    block_rows += more.block_rows;
    observed += more.observed;
  }
  void remove(const Load& less) {
    rows -= less.rows;
    tokens -= less.tokens;
    block_rows -= less.block_rows;
    observed -= less.observed;
  }
};

// The other sequences of a shared cycle. No rows: it is one sequence's own.
struct Others {
  Load all;
  Load yielding;            // of these, who drafts by a policy and could decode plainly
  std::size_t yields = 0;   // how many
  std::size_t hopeful = 0;  // sequences that decode plainly but would draft if it paid

  bool none() const { return all.rows == 0; }
  void add(const Others& more) {
    all.add(more.all);
    yielding.add(more.yielding);
    yields += more.yields;
    hopeful += more.hopeful;
  }
  void remove(const Others& less) {
    all.remove(less.all);
    yielding.remove(less.yielding);
    yields -= less.yields;
    hopeful -= less.hopeful;
  }
  // All of them when those that could decode plainly do.
  Load yielded() const {
    Load out = all;
    out.remove(yielding);
    out.add({yields, static_cast<double>(yields), 0, 0});
    return out;
  }
};

struct CycleRoom {
  std::size_t rows = 1;        // that can be verified at most
  std::size_t tokens = 1;      // still wanted
  std::size_t unobserved = 0;  // rows that a draft would need to observe first
  std::size_t context = 0;     // tokens in the cache
  Others others;
};

struct CycleCost {
  std::size_t rows = 1;  // verified, anchor included; 1 = a plain step
  std::size_t proposed = 0, accepted = 0, emitted = 0;
  double draft_ms = 0, target_ms = 0;
  // The pass had rows of other sequences too, so its time says nothing of this one's width.
  bool shared = false;
  std::uint64_t pass = 0;                     // which: all sequences of a pass report it
  std::size_t sequences = 1;                  // of the pass
  double drafted_ms = 0;                      // of a shared cycle: what the draft took for all of them
  std::size_t pass_rows = 0, block_rows = 0;  // of all sequences; 0: not known or mixed with prompts
  std::size_t observed_rows = 0;              // of a pass of the draft for several sequences; 0: none
  double observe_ms = 0;
};

class WidthPolicy {
 public:
  virtual ~WidthPolicy() = default;

  // Asked before the prompt: whether the draft is to observe it. If not, the request is decoded plainly.
  virtual bool wants_draft(std::size_t prompt_tokens) = 0;
  virtual void begin(const PromptCost& cost) = 0;
  // Rows of the next cycle, 1 to room.rows; 1 = a plain step. The draft fills a block of as many positions.
  virtual std::size_t choose(const CycleRoom& room) = 0;
  // Asked when `rows` rows wait and no more can, and at the end: whether the draft is to observe them. If
  // not, the rest of the request is decoded plainly.
  virtual bool affords(std::size_t rows) = 0;
  virtual void observed(std::size_t rows, double ms) = 0;
  // Whether drafts are expected to stand, whatever they cost.
  virtual bool hopeful() const = 0;
  // Tokens of a cycle of that width.
  virtual double expected_tokens(std::size_t width) const = 0;
  virtual void record(const CycleCost& cost) = 0;
};

}  // namespace kakeya::decode
