// What the AVX-512 kernels of panels share: codes and scales of a block in registers. Included inside the
// region of a file that compiles for AVX-512, after panel_tiles-inl.h.

// A block's part of a panel: vectors of 16 outputs. `second` is the scale of inputs 16 to 31, for Q6_K alone.
struct Scales {
  __m512 scale, second, min;
};

KAKEYA_INLINE __m512 load_f16(const std::uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// Into a register, once: compilers would rather read memory again for every use, and loads are what is
// scarce.
KAKEYA_INLINE __m512i load_vector(const std::uint8_t* p) {
  __m512i v = _mm512_loadu_si512(p);
  asm("" : "+v"(v));
  return v;
}
KAKEYA_INLINE __m128i load_bytes(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
KAKEYA_INLINE __m512 u8_to_float(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)); }

KAKEYA_INLINE __m512 load_affine(WeightType type, const std::uint8_t* header, std::size_t half) {
  if (type == WeightType::kF32) return _mm512_loadu_ps(header + 64 * half);
  if (type == WeightType::kF16) return load_f16(header + 32 * half);
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(header + 32 * half));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

// Q4_K and Q5_K: bits of block j, in the order of sub_scale() of block_scales.h.
KAKEYA_INLINE Scales load_k_scales(const std::uint8_t* tile, std::size_t j) {
  const std::uint8_t* bytes = tile + kKScaleBytes;
  __m128i scale, min;
  if (j < 4) {
    scale = _mm_and_si128(load_bytes(bytes + 16 * j), _mm_set1_epi8(63));
    min = _mm_and_si128(load_bytes(bytes + 16 * (j + 4)), _mm_set1_epi8(63));
  } else {
    const __m128i low = load_bytes(bytes + 16 * (j + 4));
    const __m128i nibble = _mm_set1_epi8(15), top = _mm_set1_epi8(0x30);
    scale = _mm_or_si128(_mm_and_si128(low, nibble),
                         _mm_and_si128(_mm_srli_epi16(load_bytes(bytes + 16 * (j - 4)), 2), top));
    min = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(low, 4), nibble),
                       _mm_and_si128(_mm_srli_epi16(load_bytes(bytes + 16 * j), 2), top));
  }
  const __m512 d = _mm512_mul_ps(load_f16(tile), u8_to_float(scale));
  const __m512 m = _mm512_mul_ps(load_f16(tile + 32), u8_to_float(min));
  return {d, d, _mm512_xor_ps(m, _mm512_set1_ps(-0.0f))};
}

template <WeightType kType>
KAKEYA_INLINE Scales load_scales(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j) {
  if constexpr (kType == WeightType::kQ4_0 || kType == WeightType::kQ8_0) {
    const __m512 d = load_f16(tile + 32 * j);
    return {d, d, d};
  } else if constexpr (kType == WeightType::kQ4K || kType == WeightType::kQ5K) {
    return load_k_scales(tile, j);
  } else if constexpr (kType == WeightType::kQ6K) {
    const __m512 d = load_f16(tile + kQ6KScale);
    const __m512i first = _mm512_cvtepi8_epi32(load_bytes(tile + 32 * j));
    const __m512i second = _mm512_cvtepi8_epi32(load_bytes(tile + 32 * j + 16));
    return {_mm512_mul_ps(d, _mm512_cvtepi32_ps(first)), _mm512_mul_ps(d, _mm512_cvtepi32_ps(second)), d};
  } else {
    const __m512 scale = load_affine(tiles.scale_type, tile, 0);
    return {scale, scale, load_affine(tiles.scale_type, tile, 1)};
  }
}

// a | (b & c)
KAKEYA_INLINE __m512i or_and(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0xf8);
}

// Bits above the low four into place, k-group g of the block.
template <WeightType kType>
KAKEYA_INLINE __m512i high_bits(const std::uint8_t* block, std::size_t g, __m512i low) {
  constexpr std::size_t kHigh = panel_layout(kType).high_bytes;
  if constexpr (kHigh == 64) {
    const __m512i bits = load_vector(block + 256);
    const auto shift = static_cast<unsigned>(g < 4 ? 4 - g : g - 4);
    const __m512i moved = g < 4 ? _mm512_slli_epi16(bits, shift) : _mm512_srli_epi16(bits, shift);
    return or_and(low, moved, _mm512_set1_epi8(0x10));
  } else if constexpr (kHigh == 128) {
    const __m512i bits = load_vector(block + 256 + g / 4 * 64);
    const auto shift = static_cast<unsigned>(g % 4 < 2 ? 4 - 2 * (g % 4) : 2 * (g % 4) - 4);
    const __m512i moved = g % 4 < 2 ? _mm512_slli_epi16(bits, shift) : _mm512_srli_epi16(bits, shift);
    return or_and(low, moved, _mm512_set1_epi8(0x30));
  } else {
    return low;
  }
}

// The eight k-groups of a block, unsigned.
template <WeightType kType>
KAKEYA_INLINE void load_codes(const std::uint8_t* block, __m512i (&codes)[kBlockGroups]) {
  const __m512i nibble = _mm512_set1_epi8(15);
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; g += 2) {
    if constexpr (panel_layout(kType).low_bytes == 512) {
      codes[g] = load_vector(block + g * kPanelVector);
      codes[g + 1] = load_vector(block + (g + 1) * kPanelVector);
    } else {
      const __m512i pair = load_vector(block + g / 2 * kPanelVector);
      codes[g] = high_bits<kType>(block, g, _mm512_and_si512(pair, nibble));
      codes[g + 1] = high_bits<kType>(block, g + 1, _mm512_and_si512(_mm512_srli_epi16(pair, 4), nibble));
    }
  }
}

// Lanes of the outputs that exist.
KAKEYA_INLINE __mmask16 output_mask(std::size_t output, std::size_t last) {
  return last - output >= kPanelOutputs ? __mmask16{0xffff}
                                        : static_cast<__mmask16>((1u << (last - output)) - 1);
}
