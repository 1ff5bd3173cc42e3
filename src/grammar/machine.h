// Runs a program: which positions a text can be at (a set of stacks), and which tokens may follow.
//
// A stack is a chain of frames; equal frames exist once, so stacks share their tails. A set of stacks is a
// state; states and the steps between them are remembered, as a deterministic automaton that is built while
// it is used. For one thread at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/program.h"
#include "grammar/vocabulary.h"

namespace kakeya::grammar {

struct MachineLimits {
  // Beyond these, ways through the grammar are dropped: the text still keeps to the grammar, but some that it
  // would allow are not offered any more.
  std::size_t max_stacks = 1024;       // in one state
  std::size_t max_closure = 16384;     // positions looked at after one byte
  std::uint64_t max_walk = 32u << 20;  // positions looked at for one mask
  // Beyond these everything but the current state is forgotten.
  std::size_t max_states = 16384;
  std::size_t max_frames = std::size_t{1} << 18;
  std::size_t max_masks = 128;
};

using StateId = std::uint32_t;
inline constexpr StateId kDeadState = 0;

class Machine {
 public:
  Machine(std::shared_ptr<const Program> program, std::shared_ptr<const Vocabulary> vocabulary,
          const MachineLimits& limits = {});

  StateId start();
  StateId step(StateId state, std::uint8_t byte);
  bool may_end(StateId state) const { return states_[state].accept; }
  // Sets the bits of the tokens that may follow, stop ids included, and clears the others.
  void fill(StateId state, std::span<std::uint64_t> bits);
  // Frees memory when much has gathered; `state` lives on under the returned id.
  StateId tidy(StateId state);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  std::size_t states() const { return states_.size(); }
  std::size_t masks() const { return masks_.size(); }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  // Where to go on when what is above has ended. `count`: the round that runs (kRepeat, from 1; 0 when the
  // repeat has yet to begin), the bytes of the marker already read (kUntil).
  struct Frame {
    std::uint32_t node, count, parent;
    bool operator==(const Frame&) const = default;
  };
  struct State {
    std::uint32_t first = 0, count = 0;  // in state_frames_
    std::uint32_t cost = 0;              // positions looked at to find it
    bool accept = false;
  };
  struct Item {
    Frame at;
    std::uint32_t fresh;  // frames on top that were pushed since the last byte
    bool operator==(const Item&) const = default;
  };
  struct WordsHash {
    std::size_t operator()(const std::vector<std::uint32_t>& words) const;
  };

  std::uint32_t frame(const Frame& frame);
  std::uint32_t canonical(std::uint32_t frame);
  std::uint32_t hash_cell(const Frame& frame) const;
  void grow_table();
  // The open closure: begin, add positions, end.
  void begin_set();
  void add_position(const Frame& at);
  void follow(const Item& item);
  void pop(const Item& item);
  void push_item(const Frame& at, std::uint32_t fresh);
  StateId end_set();
  StateId compute_step(StateId state, std::uint8_t byte);
  void walk(StateId state, std::vector<std::uint64_t>& bits);
  void forget();

  std::shared_ptr<const Program> program_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  MachineLimits limits_;
  std::size_t classes_;

  std::vector<Frame> frames_;
  std::vector<std::uint32_t> table_;      // open addressing over frames_, kNone is empty
  std::vector<std::uint32_t> canonical_;  // by frame: id of its form with far-off counts clamped
  std::unordered_map<std::vector<std::uint32_t>, std::uint32_t, WordsHash> canonical_ids_;
  std::vector<State> states_;
  std::vector<std::uint32_t> state_frames_;
  std::vector<StateId> steps_;  // [states, classes], kNone is unknown
  std::unordered_map<std::vector<std::uint32_t>, StateId, WordsHash> state_ids_;
  std::unordered_map<std::vector<std::uint32_t>, std::vector<std::uint64_t>, WordsHash> masks_;

  // The set that is being built.
  std::vector<Item> work_;
  std::vector<Item> seen_table_;
  std::vector<std::uint32_t> seen_mark_;
  std::uint32_t seen_round_ = 0;
  std::size_t seen_count_ = 0;
  std::vector<std::uint32_t> set_;
  bool set_accepts_ = false;
  std::vector<StateId> path_;
};

}  // namespace kakeya::grammar
