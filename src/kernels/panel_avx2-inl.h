// The panel kernel of 256-bit vectors. Two vectors hold the 16 outputs of a panel. Included inside the
// regions of panel_avx2.cc, after panel_tiles-inl.h and
//   kSignedBytes          8-bit codes take part as signed, less 128
//   kSums<kType>          k-groups that add_groups takes at once
//   add_groups<kType>(start, codes, words, g)   start + codes . activations of kSums k-groups from g on, in
//                         int32; words[g]: the four activations of k-group g in all lanes (RowWords)

constexpr std::size_t kRowBlock = 4;
constexpr std::size_t kTogether = 1;
constexpr std::size_t kHalf = kPanelOutputs / 2;

template <WeightType kType>
constexpr bool kBytes = kSignedBytes&& panel_layout(kType).low_bytes == 512;

struct Scales {
  __m256 scale, second, min;
};

KAKEYA_INLINE __m256i load_vector(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
KAKEYA_INLINE __m256 load_f16(const std::uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
KAKEYA_INLINE __m128i load_bytes(const std::uint8_t* p) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}
KAKEYA_INLINE __m256 u8_to_float(__m128i v) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)); }

// Scales of 8 outputs from output `o` of the panel on; bits of Q4_K and Q5_K as in block_scales.h.
KAKEYA_INLINE Scales load_k_scales(const std::uint8_t* tile, std::size_t j, std::size_t o) {
  const std::uint8_t* bytes = tile + kKScaleBytes + o;
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
  const __m256 d = _mm256_mul_ps(load_f16(tile + 2 * o), u8_to_float(scale));
  const __m256 m = _mm256_mul_ps(load_f16(tile + 32 + 2 * o), u8_to_float(min));
  return {d, d, _mm256_xor_ps(m, _mm256_set1_ps(-0.0f))};
}

KAKEYA_INLINE __m256 load_affine(WeightType type, const std::uint8_t* header, std::size_t index) {
  if (type == WeightType::kF32) return _mm256_loadu_ps(reinterpret_cast<const float*>(header) + index);
  if (type == WeightType::kF16) return load_f16(header + 2 * index);
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(header + 2 * index));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <WeightType kType>
KAKEYA_INLINE Scales load_scales(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                                 std::size_t o) {
  if constexpr (kType == WeightType::kQ4_0 || kType == WeightType::kQ8_0) {
    const __m256 d = load_f16(tile + 32 * j + 2 * o);
    return {d, d, d};
  } else if constexpr (kType == WeightType::kQ4K || kType == WeightType::kQ5K) {
    return load_k_scales(tile, j, o);
  } else if constexpr (kType == WeightType::kQ6K) {
    const __m256 d = load_f16(tile + kQ6KScale + 2 * o);
    const __m256i first = _mm256_cvtepi8_epi32(load_bytes(tile + 32 * j + o));
    const __m256i second = _mm256_cvtepi8_epi32(load_bytes(tile + 32 * j + 16 + o));
    return {_mm256_mul_ps(d, _mm256_cvtepi32_ps(first)), _mm256_mul_ps(d, _mm256_cvtepi32_ps(second)), d};
  } else {
    const __m256 scale = load_affine(tiles.scale_type, tile, o);
    return {scale, scale, load_affine(tiles.scale_type, tile, kPanelOutputs + o)};
  }
}

KAKEYA_INLINE __m256i shift_right(__m256i v, std::size_t bits) {
  return _mm256_srl_epi16(v, _mm_cvtsi32_si128(static_cast<int>(bits)));
}
KAKEYA_INLINE __m256i shift_left(__m256i v, std::size_t bits) {
  return _mm256_sll_epi16(v, _mm_cvtsi32_si128(static_cast<int>(bits)));
}

// k-group g of 8 outputs: unsigned, or signed when kBytes. `at` is 4 * the first output.
template <WeightType kType>
KAKEYA_INLINE __m256i load_codes(const std::uint8_t* block, std::size_t g, std::size_t at) {
  constexpr std::size_t kHigh = panel_layout(kType).high_bytes;
  if constexpr (panel_layout(kType).low_bytes == 512) {
    const __m256i bytes = load_vector(block + g * kPanelVector + at);
    return kBytes<kType> ? _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)) : bytes;
  } else {
    const __m256i pair = load_vector(block + g / 2 * kPanelVector + at);
    const __m256i low =
        _mm256_and_si256(g % 2 == 0 ? pair : _mm256_srli_epi16(pair, 4), _mm256_set1_epi8(15));
    if constexpr (kHigh == 0) return low;
    const std::size_t fields = kHigh == 64 ? 8 : 4, width = 8 / fields, from = width * (g % fields);
    const __m256i bits = load_vector(block + 256 + g / fields * kPanelVector + at);
    const __m256i moved = from <= 4 ? shift_left(bits, 4 - from) : shift_right(bits, from - 4);
    return _mm256_or_si256(low, _mm256_and_si256(moved, _mm256_set1_epi8(kHigh == 64 ? 0x10 : 0x30)));
  }
}

// Four activations of each k-group of a row in all lanes.
struct RowWords {
  const std::int8_t* x;
  KAKEYA_INLINE __m256i operator[](std::size_t g) const {
    std::int32_t word = 0;
    std::memcpy(&word, x + 4 * g, sizeof word);
    return _mm256_set1_epi32(word);
  }
};

// codes . activations over k-groups [from, to), on top of `start`.
template <WeightType kType>
KAKEYA_INLINE __m256i dot(const __m256i (&codes)[kBlockGroups], RowWords words, std::size_t from,
                          std::size_t to, __m256i start) {
  KAKEYA_UNROLL
  for (std::size_t g = from; g < to; g += kSums<kType>) start = add_groups<kType>(start, codes, words, g);
  return start;
}

// Where integer sums start: what the codes above lack or have too much, times the sum of the activations.
template <WeightType kType>
KAKEYA_INLINE __m256i start_sum(std::int32_t negative_sum) {
  constexpr int kFactor = panel_layout(kType).zero - (kBytes<kType> ? 128 : 0);
  return _mm256_set1_epi32(kFactor * negative_sum);
}

template <WeightType kType>
KAKEYA_INLINE __m256 add_block(const __m256i (&codes)[kBlockGroups], const Scales& scales,
                               const Activations& x, std::size_t r, __m256 acc) {
  const RowWords words = {x.codes + r * kActivationBlock};
  const __m256 row_scale = _mm256_set1_ps(x.scales[r]);
  const std::int32_t all = x.negative_sums[2 * r];
  if constexpr (kType == WeightType::kQ6K) {
    const std::int32_t half = x.negative_sums[2 * r + 1];
    const __m256i first = dot<kType>(codes, words, 0, 4, start_sum<kType>(half));
    const __m256i second = dot<kType>(codes, words, 4, 8, start_sum<kType>(all - half));
    acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(first), _mm256_mul_ps(scales.scale, row_scale), acc);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(second), _mm256_mul_ps(scales.second, row_scale), acc);
  } else {
    const __m256i sum = dot<kType>(codes, words, 0, 8, start_sum<kType>(all));
    acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scales.scale, row_scale), acc);
    if constexpr (!has_min(kType)) return acc;
    return _mm256_fmadd_ps(scales.min, _mm256_set1_ps(x.scaled_sums[r]), acc);
  }
}

// 8 outputs of block j of a tile, from output 8 * half on.
template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_half(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                            std::size_t half, const Activations& x, __m256 (&acc)[R]) {
  __m256i codes[kBlockGroups];
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    codes[g] = load_codes<kType>(tiles.block(tile, j), g, 32 * half);
  }
  const Scales scales = load_scales(tiles, tile, j, kHalf * half);
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) acc[r] = add_block<kType>(codes, scales, x, r, acc[r]);
}

template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_tile_block(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                                  const Activations& x, __m256 (&acc)[2][R]) {
  add_half<kType>(tiles, tile, j, 0, x, acc[0]);
  add_half<kType>(tiles, tile, j, 1, x, acc[1]);
}

template <WeightType kType, std::size_t R>
void add_rows(const Tiles<kType>& tiles, const Int8Rows& x, const Step& step, Rows<float> y,
              std::size_t last) {
  const std::size_t output = step.panel * kPanelOutputs, outputs = std::min(kPanelOutputs, last - output);
  alignas(32) float sums[R][kPanelOutputs] = {};
  if (step.first != 0) {
    for (std::size_t r = 0; r < R; ++r) std::copy_n(y.data + r * y.stride + output, outputs, sums[r]);
  }
  __m256 acc[2][R];
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[0][r] = _mm256_load_ps(sums[r]);
    acc[1][r] = _mm256_load_ps(sums[r] + kHalf);
  }
  Activations block(x, step.first, step.row);
  const std::uint8_t* tile = tiles.tile(step.panel, step.first);
  for (std::size_t b = step.first; b < step.last; tile += tiles.tile_bytes()) {
    if (step.ahead != 0) prefetch_lines(tile, tiles.tile_bytes(), step.ahead);
    for (std::size_t j = 0; j < tiles.tile_blocks() && b < step.last; ++j, ++b) {
      add_tile_block(tiles, tile, j, block, acc);
      block.next();
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    _mm256_store_ps(sums[r], acc[0][r]);
    _mm256_store_ps(sums[r] + kHalf, acc[1][r]);
  }
  for (std::size_t r = 0; r < R; ++r) std::copy_n(sums[r], outputs, y.data + r * y.stride + output);
}
