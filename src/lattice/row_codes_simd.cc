// Packed rows to int8 through Highway, for AVX2 and NEON: a 128-bit block of a vector holds 16 values of one
// row, first as eight fields of 16 bits, then as bytes.

// EMU128 and SCALAR stay enabled because a build without SIMD flags needs a baseline. AVX-512 CPUs run the
// code for AVX2 unless they have VBMI.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lattice/row_codes_simd.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, which sets the target.
#include <hwy/highway.h>

#include "lattice/row_codes_reader.h"

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace kakeya::lattice {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kBlocks = HWY_MIN(HWY_MAX_BYTES / 16, 2);  // of a vector
using Bytes = hn::FixedTag<std::uint8_t, 16 * kBlocks>;
using Words = hn::Repartition<std::uint16_t, Bytes>;
using Dwords = hn::Repartition<std::uint32_t, Bytes>;
using Qwords = hn::Repartition<std::uint64_t, Bytes>;
using ByteVec = hn::Vec<Bytes>;
using WordVec = hn::Vec<Words>;

// 16 bytes at `offset` of each of N / 16 rows, `step` pointers apart.
template <std::size_t N>
HWY_INLINE hn::Vec<hn::FixedTag<std::uint8_t, N>> load_rows(const std::uint8_t* const* rows, std::size_t step,
                                                            std::size_t offset) {
  if constexpr (N == 16) {
    return hn::LoadU(hn::FixedTag<std::uint8_t, 16>(), rows[0] + offset);
  } else {
    return hn::Combine(hn::FixedTag<std::uint8_t, N>(),
                       load_rows<N / 2>(rows + step * (N / 32), step, offset),
                       load_rows<N / 2>(rows, step, offset));
  }
}

// Block b of the vector to out + b * step.
template <std::size_t N, class Vec>
HWY_INLINE void store_blocks(Vec v, std::int8_t* out, std::size_t step) {
  const hn::FixedTag<std::uint8_t, N> d;
  if constexpr (N == 16) {
    hn::StoreU(v, d, reinterpret_cast<std::uint8_t*>(out));
  } else {
    store_blocks<N / 2>(hn::LowerHalf(hn::Half<decltype(d)>(), v), out, step);
    store_blocks<N / 2>(hn::UpperHalf(hn::Half<decltype(d)>(), v), out + N / 32 * step, step);
  }
}

template <Kind kKind>
class Unpacker {
 public:
  explicit Unpacker(const CodePlan& plan)
      : low_{bytes(plan.low[0]), bytes(plan.low[1])},
        high_{bytes(plan.high[0]), bytes(plan.high[1])},
        below_{words(plan.below[0]), words(plan.below[1])},
        factor_{factors(plan.below[0]), factors(plan.below[1])},
        mask_(hn::BitCast(Words(), hn::Set(Dwords(), plan.format.mask[0] | plan.format.mask[1] << 16))),
        inverse_(hn::Set(Words(), plan.inverse)),
        half_inverse_(hn::Set(Words(), static_cast<std::uint16_t>((plan.inverse + 1) / 2))),
        shift_(plan.shift),
        carry_(hn::Set(Words(), static_cast<std::uint16_t>(256 - plan.format.radix))),
        largest_(hn::Set(Bytes(), static_cast<std::uint8_t>(4 * plan.format.q + 2))),
        zero_(hn::Set(Bytes(), static_cast<std::uint8_t>(2 * plan.format.q + 2))) {}

  // The same 16 values of kBlocks rows, `step` pointers apart.
  HWY_INLINE ByteVec pair(const std::uint8_t* const* rows, std::size_t step, std::size_t offset,
                          std::size_t odd) const {
    const ByteVec in = load_rows<16 * kBlocks>(rows, step, offset);
    const WordVec low = hn::BitCast(Words(), hn::TableLookupBytesOr0(in, low_[odd]));
    const WordVec high = hn::BitCast(Words(), hn::TableLookupBytesOr0(in, high_[odd]));
    const WordVec field = hn::And(hn::Or(dropped(low, odd), hn::Mul(high, factor_[odd])), mask_);
    // A field d0 + R d1 becomes the bytes d0, d1.
    const WordVec digits = hn::Add(field, hn::Mul(quotient(field), carry_));
    const ByteVec doubled = restore_parity(hn::BitCast(Bytes(), digits));
    return hn::Sub(hn::Min(hn::Max(doubled, hn::Set(Bytes(), std::uint8_t{2})), largest_), zero_);
  }

 private:
  static HWY_INLINE ByteVec bytes(const std::array<std::uint8_t, 16>& table) {
    return hn::LoadDup128(Bytes(), table.data());
  }
  static HWY_INLINE WordVec words(const std::array<std::uint16_t, 8>& table) {
    return hn::LoadDup128(Words(), table.data());
  }
  static HWY_INLINE WordVec factors(const std::array<std::uint16_t, 8>& below) {
    std::array<std::uint16_t, 8> out;
    for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::uint16_t>(0x10000u >> below[i]);
    return words(out);
  }

  // low >> below. x86 has no such shifts of 16-bit numbers.
  HWY_INLINE WordVec dropped(WordVec low, std::size_t odd) const {
#if HWY_ARCH_ARM_A64
    return hn::Shr(low, below_[odd]);
#else
    return hn::MulHigh(low, factor_[odd]);
#endif
  }
  // field / radix. On Arm through a doubling product: the inverse has a bit less, which is exact as long as
  // field * (excess of the inverse) < radix^3 <= 2^(15 + shift), which radix <= 2^7 grants.
  HWY_INLINE WordVec quotient(WordVec field) const {
#if HWY_ARCH_ARM_A64
    const int16x8_t product =
        vqdmulhq_s16(vreinterpretq_s16_u16(field.raw), vreinterpretq_s16_u16(half_inverse_.raw));
    return hn::ShiftRightSame(WordVec(vreinterpretq_u16_s16(product)), shift_);
#else
    return hn::ShiftRightSame(hn::MulHigh(field, inverse_), shift_);
#endif
  }

  // Digits to twice the digits plus the coset, with the parity that the last digit of a block lost.
  static HWY_INLINE ByteVec restore_parity(ByteVec digits) {
    if constexpr (kKind == Kind::kE8) {
      // Bit 0 of a sum of bytes is their parity.
      const auto parity = hn::ShiftRight<7>(hn::ShiftLeft<63>(hn::SumsOf8(digits)));
      alignas(16) static constexpr std::uint8_t kLast[16] = {7,  7,  7,  7,  7,  7,  7,  7,
                                                             15, 15, 15, 15, 15, 15, 15, 15};
      const ByteVec last = hn::TableLookupBytes(digits, hn::LoadDup128(Bytes(), kLast));
      const ByteVec coset = hn::And(last, hn::Set(Bytes(), std::uint8_t{1}));
      const ByteVec whole = hn::Xor(digits, hn::BitCast(Bytes(), parity));
      return hn::Add(hn::Add(whole, whole), coset);
    } else {
      const auto in = hn::BitCast(Dwords(), digits);
      const auto second = hn::ShiftLeft<8>(in);
      const auto sums = hn::Xor(second, hn::ShiftLeft<16>(hn::Xor(in, second)));  // byte 3: d0 ^ d1 ^ d2
      const auto parity = hn::And(sums, hn::Set(Dwords(), 0x01000000u));
      const auto last = hn::And(in, hn::Set(Dwords(), 0xff000000u));
      const ByteVec whole = hn::BitCast(Bytes(), hn::Add(hn::Add(in, last), parity));
      return hn::Add(whole, whole);
    }
  }

  ByteVec low_[2], high_[2];
  WordVec below_[2], factor_[2];
  WordVec mask_, inverse_, half_inverse_;
  int shift_;
  WordVec carry_;
  ByteVec largest_, zero_;
};

// Dword t of every block of the four vectors side by side at out + 64 t.
HWY_INLINE void store_transposed(ByteVec v0, ByteVec v1, ByteVec v2, ByteVec v3, std::int8_t* out) {
  const Dwords d;
  const Qwords q;
  const auto i0 = hn::BitCast(d, v0), i1 = hn::BitCast(d, v1), i2 = hn::BitCast(d, v2),
             i3 = hn::BitCast(d, v3);
  const auto a = hn::BitCast(q, hn::InterleaveLower(d, i0, i1)),
             b = hn::BitCast(q, hn::InterleaveUpper(d, i0, i1)),
             c = hn::BitCast(q, hn::InterleaveLower(d, i2, i3)),
             e = hn::BitCast(q, hn::InterleaveUpper(d, i2, i3));
  auto* to = reinterpret_cast<std::uint64_t*>(out);
  hn::StoreU(hn::InterleaveLower(q, a, c), q, to);
  hn::StoreU(hn::InterleaveUpper(q, a, c), q, to + 8);
  hn::StoreU(hn::InterleaveLower(q, b, e), q, to + 16);
  hn::StoreU(hn::InterleaveUpper(q, b, e), q, to + 24);
}

// Bytes of the four vectors in turns; block b at out + 64 b.
HWY_INLINE void store_interleaved(ByteVec v0, ByteVec v1, ByteVec v2, ByteVec v3, std::int8_t* out) {
  const Bytes d;
  const Words w;
  const auto a = hn::BitCast(w, hn::InterleaveLower(d, v0, v1)),
             b = hn::BitCast(w, hn::InterleaveUpper(d, v0, v1)),
             c = hn::BitCast(w, hn::InterleaveLower(d, v2, v3)),
             e = hn::BitCast(w, hn::InterleaveUpper(d, v2, v3));
  constexpr std::size_t kBytes = 16 * kBlocks;
  store_blocks<kBytes>(hn::BitCast(d, hn::InterleaveLower(w, a, c)), out, 64);
  store_blocks<kBytes>(hn::BitCast(d, hn::InterleaveUpper(w, a, c)), out + 16, 64);
  store_blocks<kBytes>(hn::BitCast(d, hn::InterleaveLower(w, b, e)), out + 32, 64);
  store_blocks<kBytes>(hn::BitCast(d, hn::InterleaveUpper(w, b, e)), out + 48, 64);
}

constexpr std::size_t kGroupRows = 4 * kBlocks;  // rows of four vectors

template <Kind kKind>
HWY_INLINE void keys_by(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  const Unpacker<kKind> unpacker(plan);
  const RowReader reader(plan, packed);
  base::LineAsker asker(packed.wanted);
  const std::size_t dim = plan.format.dim;
  for (std::size_t first = 0; first < packed.rows; first += kGroupRows) {
    // Block b of vector v is row 4 b + v.
    const std::uint8_t* rows[kGroupRows];
    for (std::size_t i = 0; i < kGroupRows; ++i) rows[i] = reader.row(first + i);
    asker.ask(kGroupRows * packed.stride);
    std::int8_t* to = out + first / kKeyRows * kKeyRows * dim + first % kKeyRows * 4;
    for (std::size_t p = 0; p < dim / 16; ++p, to += 16 * kKeyRows) {
      const std::size_t at = plan.offset(p), odd = p % 2;
      store_transposed(unpacker.pair(rows, 4, at, odd), unpacker.pair(rows + 1, 4, at, odd),
                       unpacker.pair(rows + 2, 4, at, odd), unpacker.pair(rows + 3, 4, at, odd), to);
    }
  }
}

template <Kind kKind>
HWY_INLINE void values_by(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  const Unpacker<kKind> unpacker(plan);
  const RowReader reader(plan, packed);
  base::LineAsker asker(packed.wanted);
  const std::size_t dim = plan.format.dim;
  for (std::size_t first = 0; first < packed.rows; first += kGroupRows) {
    const std::uint8_t* rows[kGroupRows];
    for (std::size_t i = 0; i < kGroupRows; ++i) rows[i] = reader.row(first + i);
    asker.ask(kGroupRows * packed.stride);
    std::int8_t* to = out + first / kValueRows * kValueRows * dim + first % kValueRows * 16;
    for (std::size_t p = 0; p < dim / 16; ++p, to += 16 * kValueRows) {
      const std::size_t at = plan.offset(p), odd = p % 2;
      store_interleaved(unpacker.pair(rows, 4, at, odd), unpacker.pair(rows + 1, 4, at, odd),
                        unpacker.pair(rows + 2, 4, at, odd), unpacker.pair(rows + 3, 4, at, odd), to);
    }
  }
}

void keys(const CodePlan& plan, const PackedRows& rows, std::int8_t* out) {
  if (plan.format.kind == Kind::kE8) return keys_by<Kind::kE8>(plan, rows, out);
  keys_by<Kind::kD4>(plan, rows, out);
}
void values(const CodePlan& plan, const PackedRows& rows, std::int8_t* out) {
  if (plan.format.kind == Kind::kE8) return values_by<Kind::kE8>(plan, rows, out);
  values_by<Kind::kD4>(plan, rows, out);
}

void scales(const std::uint32_t* headers, std::size_t n, int q, float* out) {
  constexpr std::size_t kLanes = 4 * kBlocks;
  const hn::FixedTag<float, kLanes> d;
  const hn::FixedTag<std::uint32_t, kLanes> du;
  const hn::FixedTag<std::uint16_t, kLanes> dh;
  const hn::FixedTag<hwy::float16_t, kLanes> half;
  const auto range = hn::Set(d, static_cast<float>(q));
  const auto to_float = [&](auto bits) HWY_ATTR {
    return hn::PromoteTo(d, hn::BitCast(half, hn::TruncateTo(dh, bits)));
  };
  for (std::size_t i = 0; i < n; i += kLanes) {
    const auto header = hn::LoadU(du, headers + i);
    const auto magnitude = hn::And(header, hn::Set(du, 0x7fff7fffu));
    const auto norm = to_float(magnitude), peak = to_float(hn::ShiftRight<16>(magnitude));
    const auto scale = hn::Mul(hn::Div(hn::Mul(norm, peak), range), hn::Set(d, 0.5f));
    const auto sign = hn::And(header, hn::Set(du, 0x80000000u));
    hn::StoreU(hn::Or(scale, hn::BitCast(d, sign)), d, out + i);
  }
}

constexpr RowCodes make_codes(const char* name) {
  return {
      .name = name, .swaps_lanes = false, .rows = nullptr, .keys = keys, .values = values, .scales = scales};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace kakeya::lattice
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace kakeya::lattice {

const RowCodes* simd_row_codes() {
#if HWY_TARGETS & HWY_AVX2
  static constexpr RowCodes kAvx2 = N_AVX2::make_codes("avx2");
  if (hwy::SupportedTargets() & HWY_AVX2) return &kAvx2;
#endif
#if HWY_TARGETS & HWY_NEON
  static constexpr RowCodes kNeon = N_NEON::make_codes("neon");  // every 64-bit Arm CPU has it
  return &kNeon;
#endif
  return nullptr;
}

}  // namespace kakeya::lattice
#endif
