// The automaton of a grammar: nodes over bytes with calls and counters. Immutable, shared by all who run it.
#pragma once
#include <kakeya/result.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

#include "grammar/expr.h"

namespace kakeya::grammar {

inline constexpr std::uint32_t kNoNode = 0xffffffff;

enum class NodeKind : std::uint8_t {
  kBytes,   // a byte of low..high, then next
  kUntil,   // bytes until markers[first] is complete, then next (if any); `target` (if any) at any time
  kSplit,   // targets[first, first + count)
  kCall,    // target, and on its end next
  kRepeat,  // target min to max times, then next
  kEnd,     // of a rule or of a repeated body
};

struct Node {
  NodeKind kind = NodeKind::kEnd;
  std::uint32_t next = kNoNode, target = kNoNode;
  std::uint32_t first = 0, count = 0;
  std::uint8_t low = 0, high = 0;
  std::uint32_t min = 0, max = 0;
};

struct Marker {
  std::string bytes;
  // Knuth, Morris, Pratt: bytes already matched, next byte -> bytes matched then.
  std::vector<std::array<std::uint16_t, 256>> step;
};

struct Program {
  std::vector<Node> nodes;
  std::vector<std::uint32_t> targets;
  std::vector<Marker> markers;
  std::uint32_t start = kNoNode, end = kNoNode;
  std::array<std::uint8_t, 256> byte_class{};  // bytes that no node tells apart share a class
  std::vector<std::uint8_t> class_byte;        // one byte of each class
  std::bitset<256> needed;                     // bytes outside free text
};

struct ProgramLimits {
  std::size_t max_nodes = 400000;
  std::size_t max_rules = 20000;
  std::size_t max_depth = 1200;  // nesting of expressions
  std::size_t max_marker = 256;
};

// What cannot match is cut away, so that every state the automaton can reach can still come to an end.
// Errors: kInvalidArgument (a rule without body, left recursion with the rule's name, nothing finite to
// match), kUnsupported beyond the limits.
Result<Program> compile(const Grammar& grammar, const ProgramLimits& limits = {});

}  // namespace kakeya::grammar
