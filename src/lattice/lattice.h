// The lattices D4 and E8 as mathematics on 4 or 8 numbers: nearest point, membership, point <-> packed
// code. Knows nothing of caches, tokens or memory layout. Rules and ties: docs/formats/kv-e8.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kakeya::lattice {

enum class Kind { kD4, kE8 };
const char* to_string(Kind kind);
constexpr std::size_t block_size(Kind kind) { return kind == Kind::kD4 ? 4 : 8; }

// Nearest lattice point of one block: in and out hold block_size(kind) floats, fp32 arithmetic throughout.
// Rounding is half to even; odd sums move the lowest index with the largest error; a distance tie between
// the two cosets of E8 picks the integer one.
void nearest(Kind kind, const float* in, float* out);

// Doubled coordinates w = 2p describe a lattice point exactly.
bool is_member(Kind kind, const std::int32_t* doubled);

// Bits per block that the reference formula reports: E8 ceil(8 log2(2Q+1)), D4 ceil(4 log2(2Q+1) - 1).
int formula_bits_per_block(Kind kind, int q);

}  // namespace kakeya::lattice
