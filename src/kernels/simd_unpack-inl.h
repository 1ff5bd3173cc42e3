// Packed codes to floats: small integers times a scale, and table levels.
#if defined(KAKEYA_KERNELS_SIMD_UNPACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KAKEYA_KERNELS_SIMD_UNPACK_INL_H_
#undef KAKEYA_KERNELS_SIMD_UNPACK_INL_H_
#else
#define KAKEYA_KERNELS_SIMD_UNPACK_INL_H_
#endif

#include "kernels/simd_common-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kakeya::kernels {
namespace HWY_NAMESPACE {

using I32 = hn::RebindToSigned<F32>;
using U32 = hn::RebindToUnsigned<F32>;
using VecU = hn::Vec<U32>;

void unpack_i8(const std::int8_t* codes, float scale, float* out, std::size_t n) {
  const hn::Rebind<std::int8_t, F32> bytes;
  const VecF factor = hn::Set(F32(), scale);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto values = hn::PromoteTo(I32(), hn::LoadU(bytes, codes + i));
    hn::StoreU(hn::Mul(hn::ConvertTo(F32(), values), factor), F32(), out + i);
  }
  for (; i < n; ++i) out[i] = static_cast<float>(codes[i]) * scale;
}

// Up to 16 floats, looked up by lane-wise indices.
template <std::size_t kSize>
class LevelTable {
 public:
  static constexpr std::size_t kParts = kSize > kLanes ? kSize / kLanes : 1;

  LevelTable(const float* levels, float scale) {
    HWY_ALIGN float buffer[kParts * kLanes];
    for (std::size_t i = 0; i < kParts * kLanes; ++i) buffer[i] = levels[i % kSize] * scale;
    KAKEYA_UNROLL
    for (std::size_t p = 0; p < kParts; ++p) parts_[p] = hn::Load(F32(), buffer + p * kLanes);
  }

  HWY_INLINE VecF operator()(VecU index) const {
    const VecU lane = hn::And(index, hn::Set(U32(), static_cast<std::uint32_t>(kLanes - 1)));
    const auto indices = hn::IndicesFromVec(F32(), hn::BitCast(I32(), kParts == 1 ? index : lane));
    VecF out = hn::TableLookupLanes(parts_[0], indices);
    KAKEYA_UNROLL
    for (std::size_t p = 1; p < kParts; ++p) {
      const auto beyond =
          hn::Gt(hn::BitCast(I32(), index), hn::Set(I32(), static_cast<std::int32_t>(p * kLanes) - 1));
      out = hn::IfThenElse(hn::RebindMask(F32(), beyond), hn::TableLookupLanes(parts_[p], indices), out);
    }
    return out;
  }

 private:
  VecF parts_[kParts];
};

// Eight codes fill kBits bytes. Put together in registers: a narrow copy to memory and a wide read back
// stalls.
template <int kBits>
HWY_INLINE std::uint32_t load_word(const std::uint8_t* codes) {
  if constexpr (kBits == 3) {
    return codes[0] | std::uint32_t{codes[1]} << 8 | std::uint32_t{codes[2]} << 16;
  } else {
    std::uint32_t word = 0;
    std::memcpy(&word, codes, sizeof word);
    return word;
  }
}

template <int kBits>
void unpack_levels_of(const std::uint8_t* codes, const float* levels, float scale, float* out,
                      std::size_t n) {
  const LevelTable<std::size_t{1} << kBits> table(levels, scale);
  const VecU mask = hn::Set(U32(), (1u << kBits) - 1);
  constexpr std::uint32_t kStep = kBits;
  const VecU lane = hn::Iota(U32(), 0);
  std::size_t i = 0;
  if constexpr (kLanes >= 16) {  // two words a vector
    const auto shifts = hn::Mul(hn::And(lane, hn::Set(U32(), 7)), hn::Set(U32(), kStep));
    const auto upper = hn::Gt(hn::BitCast(I32(), lane), hn::Set(I32(), 7));
    for (; i + 16 <= n; i += 16, codes += 2 * kBits) {
      const VecU low = hn::Set(U32(), load_word<kBits>(codes));
      const VecU high = hn::Set(U32(), load_word<kBits>(codes + kBits));
      const VecU word = hn::IfThenElse(hn::RebindMask(U32(), upper), high, low);
      hn::StoreU(table(hn::And(hn::Shr(word, shifts), mask)), F32(), out + i);
    }
    if (i < n) scalar_table().unpack_levels(codes, kBits, levels, scale, out + i, n - i);
  } else {  // one word a vector or more
    for (; i < n; i += 8, codes += kBits) {
      const VecU word = hn::Set(U32(), load_word<kBits>(codes));
      KAKEYA_UNROLL
      for (std::uint32_t first = 0; first < 8; first += kLanes) {
        const auto shifts = hn::Mul(hn::Add(lane, hn::Set(U32(), first)), hn::Set(U32(), kStep));
        hn::StoreU(table(hn::And(hn::Shr(word, shifts), mask)), F32(), out + i + first);
      }
    }
  }
}

void unpack_levels(const std::uint8_t* codes, int bits, const float* levels, float scale, float* out,
                   std::size_t n) {
  if (bits == 3) return unpack_levels_of<3>(codes, levels, scale, out, n);
  unpack_levels_of<4>(codes, levels, scale, out, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace kakeya::kernels
HWY_AFTER_NAMESPACE();

#endif
