// A rotated row to packed codes, one group of 8 values per lane. Compiled once per
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
#include "lattice/row_nearest-inl.h"
#include "lattice/row_rotate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {

// Adding it to an integer in [0, 2^22) puts that integer in the low mantissa bits.
inline constexpr float kToBits = 0x1p23f;
inline constexpr std::int32_t kMantissa = 0x7fffff;

// The four fields of a group: digit + radix * next digit. Exact in fp32: below 2^18.
template <Kind kKind, std::size_t N, class VI, class VU>
HWY_INLINE void fields_of(const RowFormat& format, const FloatVec<N>* k, VI coset, VU* field) {
  const Floats<N> d;
  const hn::RebindToSigned<Floats<N>> di;
  const auto bias = static_cast<float>(format.q + 1);
  const auto radix = hn::Set(d, static_cast<float>(format.radix));
  const auto last_bits = hn::Set(d, bias + kToBits);
  const auto pair_bits = hn::Set(d, bias * static_cast<float>(format.radix + 1) + kToBits);
  const auto mantissa = hn::Set(di, kMantissa);
  KAKEYA_UNROLL
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
    field[j] = hn::BitCast(hn::DFromV<VU>(), hn::And(hn::BitCast(di, value), mantissa));
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
  HWY_INLINE void finish() {
    for (; fill_ > 0; fill_ -= 8, bits_ >>= 8) *out_++ = static_cast<std::uint8_t>(bits_);
  }
  // The same in one store that may reach 8 bytes past them.
  HWY_INLINE void finish_fast() { std::memcpy(out_, &bits_, 8); }

 private:
  std::uint8_t* out_;
  std::uint64_t bits_ = 0;
  int fill_ = 0;
};

// Packs the groups of a row in order, N at a time: append, append, ..., finish.
// Four groups end on a byte boundary for either lattice, two for E8.
template <Kind kKind, std::size_t N>
class GroupWriter {
 public:
  using Fields = hn::Vec<hn::FixedTag<std::uint32_t, N>>;

  GroupWriter(const RowFormat& format, std::uint8_t* codes)
      : format_(format), out_(codes), end_(codes + format.code_bytes) {}

  HWY_INLINE void append(const Fields* field) {
    const hn::FixedTag<std::uint32_t, N> du;
    if (format_.field_bits > 16) {
      HWY_ALIGN std::uint32_t wide[4][N];
      KAKEYA_UNROLL
      for (std::size_t j = 0; j < 4; ++j) hn::Store(field[j], du, wide[j]);
      for (std::size_t g = 0; g < N; g += 4) {
        write_four([&](BitWriter& writer) {
          for (std::size_t i = g; i < g + 4; ++i) {
            for (std::size_t j = 0; j < 4; ++j) writer.append(wide[j][i], format_.bits(j));
          }
        });
      }
      return;
    }
    const auto low = hn::Or(field[0], hn::ShiftLeftSame(field[1], format_.shift[1]));
    const auto high = hn::Or(field[2], hn::ShiftLeftSame(field[3], format_.field_bits));
    const hn::FixedTag<std::uint32_t, N / 2> dh;
    join(hn::LowerHalf(dh, low), hn::LowerHalf(dh, high));
    join(hn::UpperHalf(dh, low), hn::UpperHalf(dh, high));
  }

 private:
  // N / 2 groups whose bits stand in two words each.
  HWY_INLINE void join(hn::Vec<hn::FixedTag<std::uint32_t, N / 2>> low,
                       hn::Vec<hn::FixedTag<std::uint32_t, N / 2>> high) {
    const hn::FixedTag<std::uint64_t, N / 2> d;
    const auto code =
        hn::Or(hn::PromoteTo(d, low), hn::ShiftLeftSame(hn::PromoteTo(d, high), format_.shift[2]));
    if constexpr (kKind == Kind::kE8) {
      store_pairs<N / 2>(merge_pairs(code));
    } else {
      hn::Store(code, d, codes_ + held_);
      held_ += N / 2;
      if (held_ < 4) return;
      for (std::size_t g = 0; g < held_; g += 4) {
        write_four([&](BitWriter& writer) {
          for (std::size_t i = g; i < g + 4; ++i) writer.append(codes_[i], format_.group_bits);
        });
      }
      held_ = 0;
    }
  }

  // Two groups of 64-bit lanes to one bit string of 128 bits.
  template <class V>
  HWY_INLINE V merge_pairs(V code) const {
    const int bits = format_.group_bits;
    if (bits == 64) return code;
    const hn::DFromV<V> d;
    const auto even = hn::OddEven(hn::Zero(d), hn::Set(d, ~std::uint64_t{0}));
    const auto down = hn::OddEven(hn::Set(d, static_cast<std::uint64_t>(64 - bits)), hn::Zero(d));
    const auto next = hn::And(hn::ShiftLeftSame(hn::Shuffle01(code), bits), even);
    return hn::Or(hn::Shr(code, down), next);
  }

  template <std::size_t M, class V>
  HWY_INLINE void store_pairs(V pairs) {
    if constexpr (M > 2) {
      const hn::FixedTag<std::uint64_t, M / 2> half;
      store_pairs<M / 2>(hn::LowerHalf(half, pairs));
      store_pairs<M / 2>(hn::UpperHalf(half, pairs));
    } else {
      const hn::FixedTag<std::uint8_t, 16> bytes;
      const auto count = static_cast<std::size_t>(format_.field_bits);
      if (static_cast<std::size_t>(end_ - out_) >= 16) {
        hn::StoreU(hn::BitCast(bytes, pairs), bytes, out_);
      } else {
        HWY_ALIGN std::uint8_t exact[16];
        hn::Store(hn::BitCast(bytes, pairs), bytes, exact);
        const std::size_t piece = count >= 8 ? 8 : 4;  // two pieces that overlap: count is 6 to 16
        for (const std::size_t at : {std::size_t{0}, count - piece}) {
          if (piece == 8) {
            std::memcpy(out_ + at, exact + at, 8);
          } else {
            std::memcpy(out_ + at, exact + at, 4);
          }
        }
      }
      out_ += count;
    }
  }

  template <class F>
  HWY_INLINE void write_four(F&& append_all) {
    BitWriter writer(out_);
    append_all(writer);
    out_ += format_.group_bits / 2;
    if (out_ < end_) {
      writer.finish_fast();
    } else {
      writer.finish();
    }
  }

  const RowFormat& format_;
  std::uint8_t* out_;
  std::uint8_t* end_;
  HWY_ALIGN std::uint64_t codes_[HWY_MAX(N / 2, 4)];
  std::size_t held_ = 0;
};

template <Kind kKind, std::size_t N>
HWY_INLINE bool quantize_by(const RowFormat& format, const float* y, float step, std::uint8_t* codes) {
  const Floats<N> d;
  const hn::RebindToUnsigned<Floats<N>> du;
  const Divider<N> steps(step);
  const auto margin = hn::Set(d, coset_margin(format.q));
  GroupWriter<kKind, N> writer(format, codes);
  auto least = hn::Zero(d);
  auto most = hn::Zero(d);
  for (std::size_t g = 0; g < format.groups; g += N) {
    FloatVec<N> t[8];
    FloatVec<N> k[8];
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) t[i] = hn::LoadU(d, y + i * format.groups + g);
    steps.divide_small(t);
    const auto coset = nearest_group<kKind, N>(t, margin, k);
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < 8; ++i) {
      least = hn::Min(least, k[i]);
      most = hn::Max(most, k[i]);
    }
    hn::Vec<decltype(du)> field[4];
    fields_of<kKind, N>(format, k, coset, field);
    writer.append(field);
  }
  const auto q = static_cast<float>(format.q);
  const auto fits = hn::And(hn::Le(most, hn::Set(d, q)), hn::Ge(least, hn::Set(d, -q - 1.0f)));
  return hn::AllTrue(d, fits);
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_QUANTIZE_INL_H_
