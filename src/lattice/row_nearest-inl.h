// Nearest lattice points of groups of 8 values, one group per lane. Compiled once per instruction set by
// row_simd.cc.
// Included once per target: the guard toggles.
#if defined(KAKEYA_LATTICE_ROW_NEAREST_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_LATTICE_ROW_NEAREST_INL_H_
#undef KAKEYA_LATTICE_ROW_NEAREST_INL_H_
#else
#define KAKEYA_LATTICE_ROW_NEAREST_INL_H_
#endif

#include "lattice/row_internal.h"
#include "lattice/row_rotate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {

template <std::size_t K, class V>
HWY_INLINE V largest_magnitude(const V* v) {
  if constexpr (K == 1) {
    return hn::Abs(*v);
  } else {
    return hn::Max(largest_magnitude<K / 2>(v), largest_magnitude<K / 2>(v + K / 2));
  }
}

// Nearest integer vectors with an even sum of K coordinates. t holds no negative zero.
template <std::size_t K, std::size_t N>
HWY_INLINE void nearest_even_sum(const FloatVec<N>* t, FloatVec<N>* f) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const auto round = hn::Set(d, kRound);
  FloatVec<N> error[K];
  FloatVec<N> parity = hn::Zero(d);
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < K; ++i) {
    const auto bits = hn::Add(t[i], round);
    parity = hn::Xor(parity, bits);
    f[i] = hn::Sub(bits, round);
    error[i] = hn::Sub(t[i], f[i]);
  }
  const auto worst = largest_magnitude<K>(error);
  // The first coordinate with the largest error moves towards t; a zero error counts as positive.
  auto open = hn::RebindMask(d, hn::TestBit(hn::BitCast(di, parity), hn::Set(di, 1)));
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < K; ++i) {
    const auto move = hn::And(open, hn::Eq(hn::Abs(error[i]), worst));
    open = hn::AndNot(move, open);
    const auto step = hn::CopySignToAbs(hn::Set(d, 1.0f), error[i]);
    f[i] = hn::IfThenElse(move, hn::Add(f[i], step), f[i]);
  }
}

// Sum of (t - p)^2 in index order, p being k or, in the half coset, k + 1/2.
template <bool kHalf, std::size_t N>
HWY_INLINE FloatVec<N> squared_distance(const FloatVec<N>* t, const FloatVec<N>* k) {
  const auto half = hn::Set(Floats<N>(), 0.5f);
  FloatVec<N> sum = hn::Zero(Floats<N>());
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i) {
    const auto error = hn::Sub(t[i], kHalf ? hn::Add(k[i], half) : k[i]);
    const auto square = hn::Mul(error, error);
    sum = i == 0 ? square : hn::Add(sum, square);
  }
  return sum;
}

// By definition: both cosets in full, then their distances. t [8][N] in place becomes k; coset [N].
template <std::size_t N>
HWY_NOINLINE void nearest_e8_exact(float* t_and_k, std::int32_t* coset) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const auto half = hn::Set(d, 0.5f);
  FloatVec<N> t[8];
  FloatVec<N> shifted[8];
  FloatVec<N> k[8];
  FloatVec<N> other[8];
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i) t[i] = hn::Load(d, t_and_k + i * N);
  nearest_even_sum<8, N>(t, k);
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i) shifted[i] = hn::Sub(t[i], half);
  nearest_even_sum<8, N>(shifted, other);
  const auto take_other = hn::Lt(squared_distance<true, N>(t, other), squared_distance<false, N>(t, k));
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i)
    hn::Store(hn::IfThenElse(take_other, other[i], k[i]), d, t_and_k + i * N);
  hn::Store(hn::IfThenElseZero(hn::RebindMask(di, take_other), hn::Set(di, 1)), di, coset);
}

// The nearest integers of 8 coordinates and what the choice of coset and of the moving coordinate needs.
template <std::size_t N>
struct Rounded {
  FloatVec<N> f[8];
  FloatVec<N> error[8];
  FloatVec<N> parity;    // lowest bit: the sum of f is odd
  FloatVec<N> worst;     // the error of the largest magnitude, with its sign
  FloatVec<N> tie;       // worst + the largest error of the other sign: 0 when both are as large
  FloatVec<N> distance;  // squared, after the move of one coordinate, up to rounding

  HWY_INLINE explicit Rounded(const FloatVec<N>* t) {
    const Floats<N> d;
    const hn::RebindToSigned<Floats<N>> di;
    const auto round = hn::Set(d, kRound);
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) {
      const auto bits = hn::Add(t[i], round);
      parity = i == 0 ? bits : hn::Xor(parity, bits);
      f[i] = hn::Sub(bits, round);
      error[i] = hn::Sub(t[i], f[i]);
    }
    // In four strands, so that they do not wait for each other; squared_distance has the order that counts.
    FloatVec<N> most[4];
    FloatVec<N> least[4];
    FloatVec<N> squares[4];
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      most[i] = hn::Max(error[i], error[i + 4]);
      least[i] = hn::Min(error[i], error[i + 4]);
      squares[i] = hn::MulAdd(error[i], error[i], hn::Mul(error[i + 4], error[i + 4]));
    }
    most[0] = hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]));
    least[0] = hn::Min(hn::Min(least[0], least[1]), hn::Min(least[2], least[3]));
    distance = hn::Add(hn::Add(squares[0], squares[1]), hn::Add(squares[2], squares[3]));
    tie = hn::Add(most[0], least[0]);
    worst = hn::IfThenElse(hn::Gt(tie, hn::Zero(d)), most[0], least[0]);
    // (1 - |e|)^2 - e^2 of the coordinate that moves.
    const auto one = hn::Set(d, 1.0f);
    const auto growth = hn::NegMulAdd(hn::Set(d, 2.0f), hn::Abs(worst), one);
    const auto odd = hn::RebindMask(d, hn::TestBit(hn::BitCast(di, parity), hn::Set(di, 1)));
    distance = hn::IfThenElse(odd, hn::Add(distance, growth), distance);
  }
};

// How far the two distances of Rounded must be apart for the exact ones to compare alike. Where a row fits,
// |t| < q + 3 and t - 1/2 is off by at most (q + 3) 2^-24: 10 times that in the distance of the half
// coset. All other roundings, here and in squared_distance, stay below 64 * 2^-24 together.
inline float coset_margin(int q) { return static_cast<float>(q + 8) * 0x1p-20f; }

// k: the integer coordinates, or p - 1/2 in the half coset. Returns the coset, 0 or 1 per lane.
// The coset is chosen by quick distances and only its point is finished. Where rounding could change the
// choice, or two errors of opposite sign are the largest, everything is done by definition instead.
template <std::size_t N>
HWY_INLINE auto nearest_e8(const FloatVec<N>* t, FloatVec<N> margin, FloatVec<N>* k) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const Rounded<N> a(t);
  FloatVec<N> shifted[8];
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i) shifted[i] = hn::Sub(t[i], hn::Set(d, 0.5f));
  const Rounded<N> b(shifted);
  const auto gap = hn::Sub(b.distance, a.distance);
  const auto take_b = hn::Lt(gap, hn::Zero(d));
  const auto parity = hn::BitCast(di, hn::IfThenElse(take_b, b.parity, a.parity));
  auto open = hn::RebindMask(d, hn::TestBit(parity, hn::Set(di, 1)));
  const auto tie = hn::IfThenElse(take_b, b.tie, a.tie);
  const auto unsure = hn::Or(hn::Le(hn::Abs(gap), margin), hn::And(open, hn::Eq(tie, hn::Zero(d))));
  if (HWY_UNLIKELY(!hn::AllFalse(d, unsure))) {
    HWY_ALIGN float values[8 * N];
    HWY_ALIGN std::int32_t coset[N];
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) hn::Store(t[i], d, values + i * N);
    nearest_e8_exact<N>(values, coset);
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) k[i] = hn::Load(d, values + i * N);
    return hn::Load(di, coset);
  }
  const auto worst = hn::IfThenElse(take_b, b.worst, a.worst);
  const auto step = hn::CopySignToAbs(hn::Set(d, 1.0f), worst);
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 8; ++i) {
    const auto f = hn::IfThenElse(take_b, b.f[i], a.f[i]);
    const auto move = hn::And(open, hn::Eq(hn::IfThenElse(take_b, b.error[i], a.error[i]), worst));
    open = hn::AndNot(move, open);
    k[i] = hn::IfThenElse(move, hn::Add(f, step), f);
  }
  return hn::IfThenElseZero(hn::RebindMask(di, take_b), hn::Set(di, 1));
}

template <Kind kKind, std::size_t N>
HWY_INLINE auto nearest_group(const FloatVec<N>* t, FloatVec<N> margin, FloatVec<N>* k) {
  if constexpr (kKind == Kind::kD4) {
    nearest_even_sum<4, N>(t, k);
    nearest_even_sum<4, N>(t + 4, k + 4);
    return hn::Zero(hn::RebindToSigned<Floats<N>>());
  } else {
    return nearest_e8<N>(t, margin, k);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_NEAREST_INL_H_
