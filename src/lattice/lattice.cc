// Nearest point, membership and the bits formula of D4 and E8, plain C++. The rules are those of
// docs/formats/kv-e8.md; the row kernels must agree with this file bit for bit.
#include "lattice/lattice.h"

#include <algorithm>
#include <cmath>

namespace kakeya::lattice {
namespace {

bool is_odd(float integer) { return std::fmod(integer, 2.0f) != 0.0f; }

// Nearest integer vector with an even sum. `n` is 4 or 8.
void nearest_even_sum(const float* t, float* f, std::size_t n) {
  bool odd = false;
  std::size_t worst = 0;
  float worst_error = -1.0f;
  for (std::size_t i = 0; i < n; ++i) {
    f[i] = std::nearbyint(t[i]);
    odd ^= is_odd(f[i]);
    const float error = std::fabs(t[i] - f[i]);
    if (error > worst_error) {
      worst_error = error;
      worst = i;
    }
  }
  if (odd) f[worst] += t[worst] - f[worst] >= 0.0f ? 1.0f : -1.0f;
}

float squared_distance(const float* a, const float* b, std::size_t n) {
  float sum = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    const float d = a[i] - b[i];
    sum += d * d;
  }
  return sum;
}

}  // namespace

const char* to_string(Kind kind) { return kind == Kind::kD4 ? "d4" : "e8"; }

void nearest(Kind kind, const float* in, float* out) {
  if (kind == Kind::kD4) {
    float point[4];
    nearest_even_sum(in, point, 4);
    std::copy_n(point, 4, out);
    return;
  }
  float whole[8];
  float shifted[8];
  float half[8];
  nearest_even_sum(in, whole, 8);
  for (int i = 0; i < 8; ++i) shifted[i] = in[i] - 0.5f;
  nearest_even_sum(shifted, half, 8);
  for (float& h : half) h += 0.5f;
  const bool take_whole = squared_distance(in, whole, 8) <= squared_distance(in, half, 8);
  std::copy_n(take_whole ? whole : half, 8, out);
}

bool is_member(Kind kind, const std::int32_t* doubled) {
  const std::size_t n = block_size(kind);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (((doubled[i] ^ doubled[0]) & 1) != 0) return false;
    sum += doubled[i];
  }
  if (kind == Kind::kD4 && (doubled[0] & 1) != 0) return false;
  return sum % 4 == 0;
}

int formula_bits_per_block(Kind kind, int q) {
  const double bits = std::log2(2.0 * q + 1.0);
  return static_cast<int>(kind == Kind::kD4 ? std::ceil(4.0 * bits - 1.0) : std::ceil(8.0 * bits));
}

}  // namespace kakeya::lattice
