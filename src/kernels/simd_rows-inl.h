// Kernels on one row: dot, norm, rope, softmax, silu, Hadamard. Remainders of a row are padded with zeros
// into one vector, so a row's length decides its summation order and nothing else does.
#if defined(KAKEYA_KERNELS_SIMD_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_ROWS_INL_H_
#undef KAKEYA_KERNELS_SIMD_ROWS_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_ROWS_INL_H_
#endif

#include <cmath>
#include <limits>

#include "kernels/panels.h"
#include "kernels/simd_common-inl.h"
// After simd_common-inl.h: it needs the target's namespace.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

// exp is inaccurate to meaningless beyond this; e^88 = 1.7e38 is near the largest float.
constexpr float kLargestExponent = 88.0f;

HWY_INLINE VecF exp_vector(VecF x) { return hn::Exp(F32(), hn::Min(x, hn::Set(F32(), kLargestExponent))); }

float dot(const float* a, const float* b, std::size_t n) {
  VecF s0 = hn::Zero(F32()), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    s0 = hn::MulAdd(load(a + i), load(b + i), s0);
    s1 = hn::MulAdd(load(a + i + kLanes), load(b + i + kLanes), s1);
    s2 = hn::MulAdd(load(a + i + 2 * kLanes), load(b + i + 2 * kLanes), s2);
    s3 = hn::MulAdd(load(a + i + 3 * kLanes), load(b + i + 3 * kLanes), s3);
  }
  for (; i + kLanes <= n; i += kLanes) s0 = hn::MulAdd(load(a + i), load(b + i), s0);
  if (i < n) s1 = hn::MulAdd(load_part(a + i, n - i), load_part(b + i, n - i), s1);
  return sum(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

// out[i] = f(a[i], b[i]) a vector at a time; out may be a or b.
template <class F>
HWY_INLINE void map_rows(const float* a, const float* b, float* out, std::size_t n, F f) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(load(a + i), load(b + i)), F32(), out + i);
  if (i < n) store_part(f(load_part(a + i, n - i), load_part(b + i, n - i)), out + i, n - i);
}

void axpy(float alpha, const float* x, float* y, std::size_t n) {
  const VecF factor = hn::Set(F32(), alpha);
  map_rows(x, y, y, n, [factor](VecF a, VecF b) HWY_ATTR { return hn::MulAdd(factor, a, b); });
}

void rms_norm(const float* x, const float* weight, float eps, float* out, std::size_t n) {
  const VecF scale = hn::Set(F32(), 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps));
  map_rows(x, weight, out, n, [scale](VecF a, VecF w) HWY_ATTR { return hn::Mul(hn::Mul(a, scale), w); });
}

void silu_mul(const float* gate, const float* up, float* out, std::size_t n) {
  const VecF one = hn::Set(F32(), 1.0f);
  map_rows(gate, up, out, n, [one](VecF g, VecF u) HWY_ATTR {
    return hn::Mul(hn::Div(g, hn::Add(one, exp_vector(hn::Neg(g)))), u);
  });
}

void rope(float* head, const float* cos, const float* sin, std::size_t n) {
  const std::size_t half = n / 2;
  std::size_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const VecF a = load(head + i), b = load(head + i + half), c = load(cos + i), s = load(sin + i);
    hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), F32(), head + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), F32(), head + i + half);
  }
  for (; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    head[i] = a * cos[i] - b * sin[i];
    head[i + half] = b * cos[i] + a * sin[i];
  }
}

float row_max(const float* x, std::size_t n) {
  VecF largest = hn::Set(F32(), x[0]);
  // Max may drop a NaN, so they are looked for apart: only NaN differs from itself.
  auto numbers = hn::Eq(largest, largest);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const VecF v = load(x + i);
    numbers = hn::And(numbers, hn::Eq(v, v));
    largest = hn::Max(largest, v);
  }
  float rest = x[0];
  bool rest_is_number = true;
  for (; i < n; ++i) {
    rest_is_number = rest_is_number && x[i] == x[i];
    rest = x[i] > rest ? x[i] : rest;
  }
  if (!rest_is_number || !hn::AllTrue(F32(), numbers)) return std::numeric_limits<float>::quiet_NaN();
  const float best = hn::GetLane(hn::MaxOfLanes(F32(), largest));
  return best > rest ? best : rest;
}

float exp_sum(float* x, float shift, std::size_t n) {
  const VecF shifts = hn::Set(F32(), shift);
  VecF total = hn::Zero(F32());
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const VecF e = exp_vector(hn::Sub(load(x + i), shifts));
    total = hn::Add(total, e);
    hn::StoreU(e, F32(), x + i);
  }
  if (i < n) {
    const VecF e = exp_vector(hn::Sub(load_part(x + i, n - i), shifts));
    total = hn::Add(total, hn::IfThenElseZero(hn::FirstN(F32(), n - i), e));
    store_part(e, x + i, n - i);
  }
  return sum(total);
}

void softmax(float* x, std::size_t n) {
  const VecF scale = hn::Set(F32(), 1.0f / exp_sum(x, row_max(x, n), n));
  map_rows(x, x, x, n, [scale](VecF a, VecF) HWY_ATTR { return hn::Mul(a, scale); });
}

void load_row(const Weight& w, std::size_t index, float* out) {
  const auto convert = [&](const auto* row) HWY_ATTR {
    std::size_t i = 0;
    for (; i + kLanes <= w.in; i += kLanes) hn::StoreU(load(row + i), F32(), out + i);
    for (; i < w.in; ++i) out[i] = to_float(row + i);
  };
  switch (w.type) {
    case WeightType::kF32:
      return convert(static_cast<const float*>(w.data) + index * w.in);
    case WeightType::kF16:
      return convert(static_cast<const hwy::float16_t*>(w.data) + index * w.in);
    case WeightType::kBf16:
      return convert(static_cast<const hwy::bfloat16_t*>(w.data) + index * w.in);
    default:
      return load_quantised_row(w, index, out);
  }
}

// Stage `half` of the butterfly inside one vector: lane i becomes x[i] + x[i + half] where bit `half` of i is
// clear and x[i - half] - x[i] where it is set. `partner` holds the lanes i ^ half, `sign` +1 or -1.
template <class Indices>
HWY_INLINE VecF butterfly(VecF v, Indices partner, VecF sign) {
  return hn::MulAdd(v, sign, hn::TableLookupLanes(v, partner));
}

// The stages with pairs closer than a vector, on all vectors of the row.
HWY_INLINE void hadamard_within_vectors(float* x, std::size_t n) {
  for (std::size_t half = 1; half < kLanes; half *= 2) {
    HWY_ALIGN std::int32_t partner[kLanes];
    HWY_ALIGN float sign[kLanes];
    for (std::size_t l = 0; l < kLanes; ++l) {
      partner[l] = static_cast<std::int32_t>(l ^ half);
      sign[l] = (l & half) != 0 ? -1.0f : 1.0f;
    }
    const auto indices = hn::SetTableIndices(F32(), partner);
    const VecF signs = hn::Load(F32(), sign);
    for (std::size_t i = 0; i < n; i += kLanes) {
      hn::StoreU(butterfly(load(x + i), indices, signs), F32(), x + i);
    }
  }
}

void hadamard(float* x, std::size_t n) {
  if (n < kLanes) return scalar_table().hadamard(x, n);
  hadamard_within_vectors(x, n);
  for (std::size_t half = kLanes; half < n; half *= 2) {
    for (std::size_t base = 0; base < n; base += 2 * half) {
      for (std::size_t i = base; i < base + half; i += kLanes) {
        const VecF a = load(x + i), b = load(x + i + half);
        hn::StoreU(hn::Add(a, b), F32(), x + i);
        hn::StoreU(hn::Sub(a, b), F32(), x + i + half);
      }
    }
  }
  const VecF scale = hn::Set(F32(), static_cast<float>(1.0 / std::sqrt(static_cast<double>(n))));
  for (std::size_t i = 0; i < n; i += kLanes) hn::StoreU(hn::Mul(load(x + i), scale), F32(), x + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();

#endif
