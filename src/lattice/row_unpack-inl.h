// Packed rows to clamped coordinates: a 128-bit block of a vector holds the four fields of one group.
// Compiled once per instruction set by row_simd.cc.
// Included once per target: the guard toggles.
#if defined(KAKEYA_LATTICE_ROW_UNPACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_LATTICE_ROW_UNPACK_INL_H_
#undef KAKEYA_LATTICE_ROW_UNPACK_INL_H_
#else
#define KAKEYA_LATTICE_ROW_UNPACK_INL_H_
#endif

#include <cstring>

#include "lattice/row_internal.h"
#include "lattice/row_rotate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kPadding = 16;  // a block load may reach this far past a row

template <std::size_t N>
using Words = hn::FixedTag<std::uint32_t, N>;
template <std::size_t N>
using WordVec = hn::Vec<Words<N>>;

// 16 bytes from each group's first byte. offsets has N / 4 entries.
template <std::size_t N>
HWY_INLINE WordVec<N> load_groups(const std::uint8_t* base, const std::size_t* offsets) {
  if constexpr (N == 4) {
    return hn::BitCast(Words<4>(), hn::LoadU(hn::FixedTag<std::uint8_t, 16>(), base + offsets[0]));
  } else {
    return hn::Combine(Words<N>(), load_groups<N / 2>(base, offsets + N / 8),
                       load_groups<N / 2>(base, offsets));
  }
}

template <Kind kKind, std::size_t N>
class Unpacker {
 public:
  explicit Unpacker(const RowFormat& format) : format_(format) {
    const auto radix = static_cast<float>(format.radix);
    radix_ = hn::Set(Floats<N>(), radix);
    inverse_ = hn::Set(Floats<N>(), 1.0f / radix);
    half_step_ = hn::Set(Floats<N>(), 0.5f / radix - 0.5f);
    offset_ = hn::Set(Floats<N>(), -static_cast<float>(format.q + 1));
    limit_ = hn::Set(Floats<N>(), static_cast<float>(format.q));
    HWY_ALIGN std::uint32_t mask[N];
    HWY_ALIGN std::uint32_t last[N];
    for (std::size_t i = 0; i < N; ++i) {
      mask[i] = format.mask[i % 4];
      last[i] = kKind == Kind::kE8 ? (i % 4 == 3 ? 1u : 0u) : (i % 2 == 1 ? ~0u : 0u);
    }
    mask_ = hn::Load(Words<N>(), mask);
    last_ = hn::Load(Words<N>(), last);
  }

  // codes may be read kPadding bytes past the row.
  HWY_INLINE void row(const std::uint8_t* codes, std::uint32_t negate, float* out) const {
    constexpr std::size_t kGroups = N / 4;
    for (std::size_t g = 0; g < format_.groups; g += 4) {
      KAKEYA_UNROLL
      for (std::size_t j = 0; j < 4; j += kGroups) {
        const auto bytes = load_groups<N>(codes, format_.plan.offset.data() + j);
        const auto order = hn::Load(Words<N>(), format_.plan.bytes.data() + 4 * j);
        const auto shift = hn::Load(Words<N>(), format_.plan.shift.data() + 4 * j);
        const auto field = hn::And(hn::Shr(hn::TableLookupBytes(bytes, order), shift), mask_);
        coordinates(field, out + (g + j) * kGroup);
      }
      codes += format_.group_bits / 2;  // bytes of 4 groups
    }
    if (negate == 0) return;  // nearly always
    const Floats<N> d;
    const auto sign = hn::BitCast(d, hn::Set(Words<N>(), negate));
    for (std::size_t i = 0; i < format_.dim; i += N)
      hn::StoreU(hn::Xor(hn::LoadU(d, out + i), sign), d, out + i);
  }

 private:
  HWY_INLINE void coordinates(WordVec<N> field, float* out) const {
    const Floats<N> d;
    const Words<N> du;
    // quotient = round((value + 1/2) / radix - 1/2) is the floor: with value < 2^18 and radix <= 2^9 the
    // rounded number is never nearer than 2^-10 to a tie. Adding kRound leaves the quotient in the low bits
    // of `high`.
    const auto value = hn::Sub(hn::BitCast(d, hn::Or(field, hn::Set(du, 0x4b000000u))), hn::Set(d, 0x1p23f));
    const auto rounded = hn::Add(hn::MulAdd(value, inverse_, half_step_), hn::Set(d, kRound));
    const auto low = hn::NegMulAdd(hn::Sub(rounded, hn::Set(d, kRound)), radix_, value);
    auto high = hn::BitCast(du, rounded);
    auto offset = offset_;
    if constexpr (kKind == Kind::kE8) {
      const auto coset = hn::TestBit(hn::Broadcast<3>(high), hn::Set(du, 1));
      auto parity = hn::Xor(field, high);  // the radix is even: bit 0 of a field is bit 0 of its low digit
      parity = hn::Xor(parity, hn::Shuffle1032(parity));
      parity = hn::Xor(parity, hn::Shuffle2301(parity));
      high = hn::Xor(high, hn::And(parity, last_));
      offset = hn::Add(offset, hn::IfThenElseZero(hn::RebindMask(d, coset), hn::Set(d, 0.5f)));
    } else {
      auto parity = hn::Xor(field, hn::AndNot(last_, high));
      parity = hn::And(hn::Xor(parity, hn::Shuffle2301(parity)), hn::Set(du, 1));
      // 2 * digit + parity where the parity bit was dropped.
      const auto digit = hn::And(high, hn::Set(du, 0x3fffffu));
      high = hn::Add(high, hn::And(hn::Add(digit, parity), last_));
    }
    const auto lower = hn::Neg(limit_);
    const auto even = hn::Add(low, offset);
    const auto odd = hn::Add(hn::Sub(hn::BitCast(d, high), hn::Set(d, kRound)), offset);
    hn::StoreInterleaved2(hn::Min(hn::Max(even, lower), limit_), hn::Min(hn::Max(odd, lower), limit_), d,
                          out);
  }

  const RowFormat& format_;
  FloatVec<N> radix_, inverse_, half_step_, offset_, limit_;
  WordVec<N> mask_, last_;
};

template <Kind kKind, std::size_t N>
HWY_INLINE void unpack_by(const RowFormat& format, const std::uint8_t* codes, std::size_t stride,
                          const std::uint8_t* end, std::span<const std::uint32_t> negate, Rows<float> tile) {
  const Unpacker<kKind, N> unpacker(format);
  for (std::size_t r = 0; r < negate.size(); ++r, codes += stride) {
    if (static_cast<std::size_t>(end - codes) >= format.code_bytes + kPadding) {
      unpacker.row(codes, negate[r], tile.row(r).data());
    } else {
      std::uint8_t padded[kMaxCodeBytes + kPadding];
      std::memcpy(padded, codes, format.code_bytes);
      unpacker.row(padded, negate[r], tile.row(r).data());
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();

#endif  // KAKEYA_LATTICE_ROW_UNPACK_INL_H_
