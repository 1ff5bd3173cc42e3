#include "grammar/machine.h"

#include <algorithm>
#include <bit>

namespace kakeya::grammar {
namespace {

std::uint64_t mix(std::uint64_t h, std::uint64_t word) {
  h = (h ^ word) * 0x9e3779b97f4a7c15ull;
  return h ^ (h >> 29);
}

}  // namespace

std::size_t Machine::WordsHash::operator()(const std::vector<std::uint32_t>& words) const {
  std::uint64_t h = words.size();
  for (const std::uint32_t w : words) h = mix(h, w);
  return h;
}

Machine::Machine(std::shared_ptr<const Program> program, std::shared_ptr<const Vocabulary> vocabulary,
                 const MachineLimits& limits)
    : program_(std::move(program)),
      vocabulary_(std::move(vocabulary)),
      limits_(limits),
      classes_(program_->class_byte.size()) {
  seen_table_.resize(std::bit_ceil(2 * limits_.max_closure + 2));
  seen_mark_.assign(seen_table_.size(), 0);
  path_.resize(vocabulary_->longest() + 1);
  forget();
}

void Machine::forget() {
  frames_.clear();
  canonical_.clear();
  canonical_ids_.clear();
  state_ids_.clear();
  masks_.clear();
  table_.assign(1024, kNone);
  states_.assign(1, State{});
  state_frames_.clear();
  steps_.assign(classes_, kDeadState);
}

std::uint32_t Machine::hash_cell(const Frame& f) const {
  const std::uint64_t h = mix(mix(mix(1, f.node), f.count), f.parent);
  return static_cast<std::uint32_t>(h & (table_.size() - 1));
}

void Machine::grow_table() {
  table_.assign(table_.size() * 2, kNone);
  for (std::uint32_t id = 0; id < frames_.size(); ++id) {
    std::uint32_t cell = hash_cell(frames_[id]);
    while (table_[cell] != kNone) cell = (cell + 1) & (table_.size() - 1);
    table_[cell] = id;
  }
}

std::uint32_t Machine::frame(const Frame& f) {
  std::uint32_t cell = hash_cell(f);
  for (; table_[cell] != kNone; cell = (cell + 1) & (table_.size() - 1)) {
    if (frames_[table_[cell]] == f) return table_[cell];
  }
  const auto id = static_cast<std::uint32_t>(frames_.size());
  table_[cell] = id;
  frames_.push_back(f);
  canonical_.push_back(kNone);
  if (2 * frames_.size() > table_.size()) grow_table();
  return id;
}

// A token has at most longest() bytes and a round takes at least one: counts that are further than that from
// both bounds of their repeat behave alike for one token.
std::uint32_t Machine::canonical(std::uint32_t id) {
  std::vector<std::uint32_t> path;
  for (std::uint32_t f = id; f != kNone && canonical_[f] == kNone; f = frames_[f].parent) path.push_back(f);
  for (; !path.empty(); path.pop_back()) {
    const Frame& f = frames_[path.back()];
    const Node& node = program_->nodes[f.node];
    const auto far = static_cast<std::uint32_t>(vocabulary_->longest() + 2);
    std::uint32_t low = f.count, high = 0;
    if (node.kind == NodeKind::kRepeat && f.count > 0) {
      low = node.min > f.count ? std::min(node.min - f.count, far) : 0;
      high = 1 + (node.max == kUnbounded ? far : std::min(node.max - f.count, far));
    }
    const std::uint32_t parent = f.parent == kNone ? kNone : canonical_[f.parent];
    const auto next = static_cast<std::uint32_t>(canonical_ids_.size());
    canonical_[path.back()] =
        canonical_ids_.emplace(std::vector<std::uint32_t>{f.node, low, high, parent}, next).first->second;
  }
  return canonical_[id];
}

void Machine::begin_set() {
  set_.clear();
  work_.clear();
  set_accepts_ = false;
  seen_count_ = 0;
  if (++seen_round_ == 0) {
    std::fill(seen_mark_.begin(), seen_mark_.end(), 0);
    seen_round_ = 1;
  }
}

void Machine::push_item(const Frame& at, std::uint32_t fresh) { work_.push_back({at, fresh}); }

// Follows everything that needs no byte from `at` on, in the order of the grammar.
void Machine::add_position(const Frame& at) {
  push_item(at, 0);
  while (!work_.empty()) {
    Item item = work_.back();
    work_.pop_back();
    if (program_->nodes[item.at.node].kind == NodeKind::kBytes) item.fresh = 0;  // all the same from here
    const std::size_t mask = seen_table_.size() - 1;
    std::size_t cell = mix(mix(mix(mix(7, item.at.node), item.at.count), item.at.parent), item.fresh) & mask;
    bool seen = false;
    for (; seen_mark_[cell] == seen_round_; cell = (cell + 1) & mask) {
      if (seen_table_[cell] == item) {
        seen = true;
        break;
      }
    }
    if (seen) continue;
    if (seen_count_ >= limits_.max_closure) {
      work_.clear();
      return;
    }
    ++seen_count_;
    seen_mark_[cell] = seen_round_;
    seen_table_[cell] = item;
    follow(item);
  }
}

void Machine::follow(const Item& item) {
  const Node& node = program_->nodes[item.at.node];
  const std::uint32_t parent = item.at.parent;
  switch (node.kind) {
    case NodeKind::kUntil:
      if (node.target != kNoNode) push_item({node.target, 0, parent}, item.fresh);
      [[fallthrough]];
    case NodeKind::kBytes:
      if (set_.size() < limits_.max_stacks) set_.push_back(frame(item.at));
      return;
    case NodeKind::kSplit:
      for (std::uint32_t i = node.count; i-- > 0;) {
        push_item({program_->targets[node.first + i], 0, parent}, item.fresh);
      }
      return;
    case NodeKind::kCall:
      if (program_->nodes[node.next].kind == NodeKind::kEnd) {  // nothing to come back to
        push_item({node.target, 0, parent}, item.fresh);
      } else {
        push_item({node.target, 0, frame({node.next, 0, parent})}, item.fresh + 1);
      }
      return;
    case NodeKind::kRepeat:
      if (node.min == 0) push_item({node.next, 0, parent}, item.fresh);
      push_item({node.target, 0, frame({item.at.node, 1, parent})}, item.fresh + 1);
      return;
    case NodeKind::kEnd:
      pop(item);
      return;
  }
}

void Machine::pop(const Item& item) {
  if (item.at.parent == kNone) {
    set_accepts_ = true;
    return;
  }
  const Frame back = frames_[item.at.parent];
  const Node& node = program_->nodes[back.node];
  const std::uint32_t fresh = item.fresh > 0 ? item.fresh - 1 : 0;
  if (node.kind != NodeKind::kRepeat || back.count == 0) {
    push_item({back.node, 0, back.parent}, fresh);
    return;
  }
  if (item.fresh > 0) return;  // a round without a byte: the way around the repeat is followed already
  if (back.count >= node.min) push_item({node.next, 0, back.parent}, 0);
  if (node.max == kUnbounded) {
    const std::uint32_t round = std::min(back.count + 1, std::max(node.min, 1u));
    push_item({node.target, 0, frame({back.node, round, back.parent})}, 1);
  } else if (back.count < node.max) {
    push_item({node.target, 0, frame({back.node, back.count + 1, back.parent})}, 1);
  }
}

StateId Machine::end_set() {
  if (set_.empty() && !set_accepts_) return kDeadState;
  set_.push_back(set_accepts_ ? 1 : 0);
  const auto [it, fresh] = state_ids_.emplace(set_, static_cast<StateId>(states_.size()));
  if (fresh) {
    State state;
    state.first = static_cast<std::uint32_t>(state_frames_.size());
    state.count = static_cast<std::uint32_t>(set_.size() - 1);
    state.cost = static_cast<std::uint32_t>(seen_count_);
    state.accept = set_accepts_;
    state_frames_.insert(state_frames_.end(), set_.begin(), set_.end() - 1);
    states_.push_back(state);
    steps_.resize(steps_.size() + classes_, kNone);
  }
  return it->second;
}

StateId Machine::start() {
  begin_set();
  add_position({program_->start, 0, kNone});
  return end_set();
}

StateId Machine::step(StateId state, std::uint8_t byte) {
  StateId& known = steps_[state * classes_ + program_->byte_class[byte]];
  if (known != kNone) return known;
  const StateId next = compute_step(state, byte);
  steps_[state * classes_ + program_->byte_class[byte]] = next;
  return next;
}

StateId Machine::compute_step(StateId state, std::uint8_t byte) {
  begin_set();
  const State from = states_[state];
  for (std::uint32_t i = 0; i < from.count; ++i) {
    const Frame at = frames_[state_frames_[from.first + i]];
    const Node& node = program_->nodes[at.node];
    if (node.kind == NodeKind::kBytes) {
      if (byte >= node.low && byte <= node.high) add_position({node.next, 0, at.parent});
      continue;
    }
    const Marker& marker = program_->markers[node.first];
    const std::uint32_t matched = marker.step[at.count][byte];
    if (matched < marker.bytes.size()) {
      add_position({at.node, matched, at.parent});
    } else if (node.next != kNoNode) {
      add_position({node.next, 0, at.parent});
    }
  }
  return end_set();
}

StateId Machine::tidy(StateId state) {
  if (states_.size() <= limits_.max_states && frames_.size() <= limits_.max_frames) return state;
  const State kept = states_[state];
  std::vector<std::uint32_t> tops(state_frames_.begin() + kept.first,
                                  state_frames_.begin() + kept.first + kept.count);
  std::vector<bool> live(frames_.size(), false);
  for (const std::uint32_t top : tops) {
    for (std::uint32_t f = top; f != kNone && !live[f]; f = frames_[f].parent) live[f] = true;
  }
  const std::vector<Frame> old = std::move(frames_);
  forget();
  std::vector<std::uint32_t> renamed(old.size(), kNone);  // a parent was there before its children
  for (std::size_t f = 0; f < old.size(); ++f) {
    if (!live[f]) continue;
    const std::uint32_t parent = old[f].parent == kNone ? kNone : renamed[old[f].parent];
    renamed[f] = frame({old[f].node, old[f].count, parent});
  }
  begin_set();
  for (const std::uint32_t top : tops) set_.push_back(renamed[top]);
  set_accepts_ = kept.accept;
  return end_set();
}

}  // namespace kakeya::grammar
