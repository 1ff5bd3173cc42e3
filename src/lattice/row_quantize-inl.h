// Nearest points of a rotated row and their packing, one group of 8 values per lane. Compiled once per
// instruction set by row_simd.cc.
// Included once per target: the guard toggles.
#if defined(KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_
#undef KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_
#else
#define KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_
#endif

#include <cstring>

#include "lattice/row_internal.h"
#include "lattice/row_rotate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {

// Adding it rounds |t| < 2^22 half to even; the integer then stands in the low mantissa bits.
inline constexpr float kRound = 0x1.8p23f;
// Adding it to an integer in [0, 2^22) puts that integer in the low mantissa bits.
inline constexpr float kToBits = 0x1p23f;
inline constexpr std::int32_t kMantissa = 0x7fffff;

// Nearest integer vectors with an even sum of K coordinates. t holds no negative zero.
template <std::size_t K, std::size_t N>
HWY_INLINE void nearest_even_sum(const FloatVec<N>* t, FloatVec<N>* f) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const auto round = hn::Set(d, kRound);
  FloatVec<N> error[K];
  FloatVec<N> parity = hn::Zero(d);
  FloatVec<N> worst = hn::Zero(d);
  for (std::size_t i = 0; i < K; ++i) {
    const auto bits = hn::Add(t[i], round);
    parity = hn::Xor(parity, bits);
    f[i] = hn::Sub(bits, round);
    error[i] = hn::Sub(t[i], f[i]);
    worst = hn::Max(worst, hn::Abs(error[i]));
  }
  // The first coordinate with the largest error moves towards t; a zero error counts as positive.
  auto open = hn::RebindMask(d, hn::TestBit(hn::BitCast(di, parity), hn::Set(di, 1)));
  for (std::size_t i = 0; i < K; ++i) {
    const auto move = hn::And(open, hn::Eq(hn::Abs(error[i]), worst));
    open = hn::AndNot(move, open);
    const auto step = hn::CopySignToAbs(hn::Set(d, 1.0f), error[i]);
    f[i] = hn::IfThenElse(move, hn::Add(f[i], step), f[i]);
  }
}

// Sum of (t - p)^2 in index order.
template <std::size_t N>
HWY_INLINE FloatVec<N> squared_distance(const FloatVec<N>* t, const FloatVec<N>* p, FloatVec<N> offset) {
  FloatVec<N> sum = hn::Zero(Floats<N>());
  for (std::size_t i = 0; i < 8; ++i) {
    const auto error = hn::Sub(t[i], hn::Add(p[i], offset));
    const auto square = hn::Mul(error, error);
    sum = i == 0 ? square : hn::Add(sum, square);
  }
  return sum;
}

// k: the integer coordinates, or p - 1/2 in the half coset. Returns the coset, 0 or 1 per lane.
template <Kind kKind, std::size_t N>
HWY_INLINE auto nearest_group(const FloatVec<N>* t, FloatVec<N>* k) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  if constexpr (kKind == Kind::kD4) {
    nearest_even_sum<4, N>(t, k);
    nearest_even_sum<4, N>(t + 4, k + 4);
    return hn::Zero(di);
  } else {
    const auto half = hn::Set(d, 0.5f);
    FloatVec<N> shifted[8];
    FloatVec<N> other[8];
    nearest_even_sum<8, N>(t, k);
    for (std::size_t i = 0; i < 8; ++i) shifted[i] = hn::Sub(t[i], half);
    nearest_even_sum<8, N>(shifted, other);
    const auto take_other =
        hn::Lt(squared_distance<N>(t, other, half), squared_distance<N>(t, k, hn::Zero(d)));
    for (std::size_t i = 0; i < 8; ++i) k[i] = hn::IfThenElse(take_other, other[i], k[i]);
    return hn::IfThenElseZero(hn::RebindMask(di, take_other), hn::Set(di, 1));
  }
}

// The four fields of a group: digit + radix * next digit. Exact in fp32: below 2^18.
template <Kind kKind, std::size_t N, class VI>
HWY_INLINE void fields_of(const RowFormat& format, const FloatVec<N>* k, VI coset, VI* field) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const auto bias = static_cast<float>(format.q + 1);
  const auto radix = hn::Set(d, static_cast<float>(format.radix));
  const auto last_bits = hn::Set(d, bias + kToBits);
  const auto pair_bits = hn::Set(d, bias * static_cast<float>(format.radix + 1) + kToBits);
  const auto mantissa = hn::Set(di, kMantissa);
  for (std::size_t j = 0; j < 4; ++j) {
    const bool last = j == 3 || (kKind == Kind::kD4 && j == 1);
    auto high = k[2 * j + 1];
    if (last) {
      auto digit = hn::And(hn::BitCast(di, hn::Add(high, last_bits)), mantissa);
      if constexpr (kKind == Kind::kE8) {
        digit = hn::Or(hn::AndNot(hn::Set(di, 1), digit), coset);
      } else {
        digit = hn::ShiftRight<1>(digit);
      }
      high = hn::ConvertTo(d, digit);
    }
    const auto value = hn::Add(hn::MulAdd(high, radix, k[2 * j]), last ? last_bits : pair_bits);
    field[j] = hn::And(hn::BitCast(di, value), mantissa);
  }
}

// A little-endian bit stream.
class BitWriter {
 public:
  explicit BitWriter(std::uint8_t* out) : out_(out) {}
  // 1 <= bits <= 64; code has no bits beyond.
  HWY_INLINE void append(std::uint64_t code, int bits) {
    bits_ |= code << fill_;
    fill_ += bits;
    if (fill_ < 64) return;
    std::memcpy(out_, &bits_, 8);
    out_ += 8;
    fill_ -= 64;
    bits_ = (code >> 1) >> (bits - fill_ - 1);
  }
  // The whole bytes that are left.
  HWY_INLINE void finish() { std::memcpy(out_, &bits_, static_cast<std::size_t>(fill_) / 8); }

 private:
  std::uint8_t* out_;
  std::uint64_t bits_ = 0;
  int fill_ = 0;
};

template <Kind kKind, std::size_t N>
HWY_INLINE bool quantize_by(const RowFormat& format, const float* y, float step, std::uint8_t* codes) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  HWY_ALIGN std::int32_t fields[4][kMaxDim / kGroup];
  const auto steps = hn::Set(d, step);
  auto least = hn::Zero(d);
  auto most = hn::Zero(d);
  const bool joined = format.field_bits <= 16;  // two fields fit 32 bits
  for (std::size_t g = 0; g < format.groups; g += N) {
    FloatVec<N> t[8];
    FloatVec<N> k[8];
    for (std::size_t i = 0; i < 8; ++i) {
      // + 0 makes -0 positive.
      t[i] = hn::Add(hn::Div(hn::LoadU(d, y + i * format.groups + g), steps), hn::Zero(d));
    }
    const auto coset = nearest_group<kKind, N>(t, k);
    for (std::size_t i = 0; i < 8; ++i) {
      least = hn::Min(least, k[i]);
      most = hn::Max(most, k[i]);
    }
    hn::Vec<decltype(di)> field[4];
    fields_of<kKind, N>(format, k, coset, field);
    if (joined) {
      hn::Store(hn::Or(field[0], hn::ShiftLeftSame(field[1], format.shift[1])), di, fields[0] + g);
      hn::Store(hn::Or(field[2], hn::ShiftLeftSame(field[3], format.field_bits)), di, fields[1] + g);
    } else {
      for (std::size_t j = 0; j < 4; ++j) hn::Store(field[j], di, fields[j] + g);
    }
  }
  const auto q = static_cast<float>(format.q);
  if (fold_max<N>(most) > q || -fold_max<N>(hn::Neg(least)) < -(q + 1)) return false;
  BitWriter writer(codes);
  if (joined) {
    for (std::size_t g = 0; g < format.groups; ++g) {
      const std::uint64_t high = static_cast<std::uint32_t>(fields[1][g]);
      writer.append(static_cast<std::uint32_t>(fields[0][g]) | high << format.shift[2], format.group_bits);
    }
  } else {
    for (std::size_t g = 0; g < format.groups; ++g) {
      for (std::size_t j = 0; j < 4; ++j) {
        const int end = j == 3 ? format.group_bits : format.shift[j + 1];
        writer.append(static_cast<std::uint32_t>(fields[j][g]), end - format.shift[j]);
      }
    }
  }
  writer.finish();
  return true;
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_
