// R rows through some blocks of a panel with 128-bit vectors, whatever multiplies: `add_products`, and for
// pairs of rows matrix products where KAKEYA_PANEL_MATRIX_PRODUCTS is defined.

constexpr std::size_t kRowBlock = 4;
constexpr std::size_t kTogether = 1;
constexpr std::size_t kQuads = kPanelOutputs / 4;

// 8-bit codes take part as signed, less 128; the others fit as they are.
template <WeightType kType>
constexpr bool kBytes = panel_layout(kType).low_bytes == 512;

struct Scales {
  float32x4_t scale, second, min;
};

KAKEYA_INLINE float32x4_t load_f16(const std::uint8_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
KAKEYA_INLINE std::uint32_t load_word(const std::uint8_t* p) {
  std::uint32_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}
// Four bytes of a word to four floats.
KAKEYA_INLINE float32x4_t u8_to_float(std::uint32_t word) {
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(word))))));
}
KAKEYA_INLINE float32x4_t s8_to_float(std::uint32_t word) {
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(word))))));
}

// Scales of 4 outputs from output `o` of the panel on; bits of Q4_K and Q5_K as in block_scales.h.
KAKEYA_INLINE Scales load_k_scales(const std::uint8_t* tile, std::size_t j, std::size_t o) {
  const std::uint8_t* bytes = tile + kKScaleBytes + o;
  std::uint32_t scale = 0, min = 0;
  if (j < 4) {
    scale = load_word(bytes + 16 * j) & 0x3f3f3f3fu;
    min = load_word(bytes + 16 * (j + 4)) & 0x3f3f3f3fu;
  } else {
    const std::uint32_t low = load_word(bytes + 16 * (j + 4));
    scale = (low & 0x0f0f0f0fu) | (load_word(bytes + 16 * (j - 4)) >> 2 & 0x30303030u);
    min = (low >> 4 & 0x0f0f0f0fu) | (load_word(bytes + 16 * j) >> 2 & 0x30303030u);
  }
  const float32x4_t d = vmulq_f32(load_f16(tile + 2 * o), u8_to_float(scale));
  return {d, d, vnegq_f32(vmulq_f32(load_f16(tile + 32 + 2 * o), u8_to_float(min)))};
}

KAKEYA_INLINE float32x4_t load_affine(WeightType type, const std::uint8_t* header, std::size_t index) {
  if (type == WeightType::kF32) return vreinterpretq_f32_u8(vld1q_u8(header + 4 * index));
  if (type == WeightType::kF16) return load_f16(header + 2 * index);
  return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(header + 2 * index)), 16));
}

template <WeightType kType>
KAKEYA_INLINE Scales load_scales(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                                 std::size_t o) {
  if constexpr (kType == WeightType::kQ4_0 || kType == WeightType::kQ8_0) {
    const float32x4_t d = load_f16(tile + 32 * j + 2 * o);
    return {d, d, d};
  } else if constexpr (kType == WeightType::kQ4K || kType == WeightType::kQ5K) {
    return load_k_scales(tile, j, o);
  } else if constexpr (kType == WeightType::kQ6K) {
    const float32x4_t d = load_f16(tile + kQ6KScale + 2 * o);
    return {vmulq_f32(d, s8_to_float(load_word(tile + 32 * j + o))),
            vmulq_f32(d, s8_to_float(load_word(tile + 32 * j + 16 + o))), d};
  } else {
    const float32x4_t scale = load_affine(tiles.scale_type, tile, o);
    return {scale, scale, load_affine(tiles.scale_type, tile, kPanelOutputs + o)};
  }
}

// k-group g of 4 outputs. `at` is 4 * the first output.
template <WeightType kType>
KAKEYA_INLINE int8x16_t load_codes(const std::uint8_t* block, std::size_t g, std::size_t at) {
  constexpr std::size_t kHigh = panel_layout(kType).high_bytes;
  if constexpr (kBytes<kType>) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(block + g * kPanelVector + at), vdupq_n_u8(0x80)));
  } else {
    const uint8x16_t pair = vld1q_u8(block + g / 2 * kPanelVector + at);
    const uint8x16_t low = g % 2 == 0 ? vandq_u8(pair, vdupq_n_u8(15)) : vshrq_n_u8(pair, 4);
    if constexpr (kHigh == 0) return vreinterpretq_s8_u8(low);
    const std::size_t fields = kHigh == 64 ? 8 : 4, from = 8 / fields * (g % fields);
    const uint8x16_t bits = vld1q_u8(block + 256 + g / fields * kPanelVector + at);
    const uint8x16_t moved = vshlq_u8(bits, vdupq_n_s8(static_cast<std::int8_t>(4 - static_cast<int>(from))));
    return vreinterpretq_s8_u8(vorrq_u8(low, vandq_u8(moved, vdupq_n_u8(kHigh == 64 ? 0x10 : 0x30))));
  }
}

KAKEYA_INLINE int32x4_t dot(const int8x16_t (&codes)[kBlockGroups], const std::int8_t* x, std::size_t from,
                            std::size_t to, int32x4_t start) {
  KAKEYA_UNROLL
  for (std::size_t g = from; g < to; ++g) {
    std::int32_t four = 0;
    std::memcpy(&four, x + 4 * g, sizeof four);
    start = add_products(start, codes[g], vreinterpretq_s8_s32(vdupq_n_s32(four)));
  }
  return start;
}

// Where integer sums start: what the codes above lack or have too much, times the sum of the activations.
template <WeightType kType>
KAKEYA_INLINE int32x4_t start_sum(std::int32_t negative_sum) {
  constexpr int kFactor = panel_layout(kType).zero - (kBytes<kType> ? 128 : 0);
  return vdupq_n_s32(kFactor * negative_sum);
}

// acc plus a block whose integer sums are known: of the first and the last 16 inputs, which only Q6_K keeps
// apart.
template <WeightType kType>
KAKEYA_INLINE float32x4_t add_sums(int32x4_t first, int32x4_t second, const Scales& scales,
                                   const Activations& x, std::size_t r, float32x4_t acc) {
  const std::int32_t all = x.negative_sums[2 * r], half = x.negative_sums[2 * r + 1];
  if constexpr (kType == WeightType::kQ6K) {
    first = vaddq_s32(first, start_sum<kType>(half));
    second = vaddq_s32(second, start_sum<kType>(all - half));
    acc = vfmaq_f32(acc, vcvtq_f32_s32(first), vmulq_n_f32(scales.scale, x.scales[r]));
    return vfmaq_f32(acc, vcvtq_f32_s32(second), vmulq_n_f32(scales.second, x.scales[r]));
  } else {
    const int32x4_t sum = vaddq_s32(vaddq_s32(first, second), start_sum<kType>(all));
    acc = vfmaq_f32(acc, vcvtq_f32_s32(sum), vmulq_n_f32(scales.scale, x.scales[r]));
    if constexpr (!has_min(kType)) return acc;
    return vfmaq_f32(acc, scales.min, vdupq_n_f32(x.scaled_sums[r]));
  }
}

#if defined(KAKEYA_PANEL_MATRIX_PRODUCTS)
// Rows r and r + 1: two outputs and two rows a product, over two k-groups.
template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_two_rows(const int8x16_t (&codes)[kBlockGroups], const Scales& scales,
                                const Activations& x, std::size_t r, float32x4_t (&acc)[R]) {
  int32x4_t low[2] = {vdupq_n_s32(0), vdupq_n_s32(0)}, high[2] = {low[0], low[0]};
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; g += 2) {
    const int32x4_t a = vreinterpretq_s32_s8(codes[g]), b = vreinterpretq_s32_s8(codes[g + 1]);
    const std::int8_t* row = x.codes + r * kActivationBlock + 4 * g;
    const int8x16_t rows = vcombine_s8(vld1_s8(row), vld1_s8(row + kActivationBlock));
    low[g / 4] = vmmlaq_s32(low[g / 4], rows, vreinterpretq_s8_s32(vzip1q_s32(a, b)));
    high[g / 4] = vmmlaq_s32(high[g / 4], rows, vreinterpretq_s8_s32(vzip2q_s32(a, b)));
  }
  const auto first_row = [](int32x4_t l, int32x4_t h) {
    return vcombine_s32(vget_low_s32(l), vget_low_s32(h));
  };
  const auto second_row = [](int32x4_t l, int32x4_t h) {
    return vcombine_s32(vget_high_s32(l), vget_high_s32(h));
  };
  acc[r] = add_sums<kType>(first_row(low[0], high[0]), first_row(low[1], high[1]), scales, x, r, acc[r]);
  acc[r + 1] =
      add_sums<kType>(second_row(low[0], high[0]), second_row(low[1], high[1]), scales, x, r + 1, acc[r + 1]);
}
#endif

template <WeightType kType, std::size_t R>
KAKEYA_INLINE void add_block(const int8x16_t (&codes)[kBlockGroups], const Scales& scales,
                             const Activations& x, float32x4_t (&acc)[R]) {
  const int32x4_t zero = vdupq_n_s32(0);
  std::size_t r = 0;
#if defined(KAKEYA_PANEL_MATRIX_PRODUCTS)
  KAKEYA_UNROLL
  for (; r + 2 <= R; r += 2) add_two_rows<kType>(codes, scales, x, r, acc);
#endif
  KAKEYA_UNROLL
  for (; r < R; ++r) {
    const std::int8_t* row = x.codes + r * kActivationBlock;
    acc[r] = add_sums<kType>(dot(codes, row, 0, 4, zero), dot(codes, row, 4, 8, zero), scales, x, r, acc[r]);
  }
}

template <WeightType kType, std::size_t R>
void add_rows(const Tiles<kType>& tiles, const Int8Rows& x, const Step& step, Rows<float> y,
              std::size_t last) {
  const std::size_t output = step.panel * kPanelOutputs, outputs = std::min(kPanelOutputs, last - output);
  float sums[R][kPanelOutputs] = {};
  if (step.first != 0) {
    for (std::size_t r = 0; r < R; ++r) std::copy_n(y.data + r * y.stride + output, outputs, sums[r]);
  }
  float32x4_t acc[kQuads][R];
  KAKEYA_UNROLL
  for (std::size_t q = 0; q < kQuads; ++q) {
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) acc[q][r] = vld1q_f32(sums[r] + 4 * q);
  }
  Activations block(x, step.first, step.row);
  const std::uint8_t* tile = tiles.tile(step.panel, step.first);
  for (std::size_t b = step.first; b < step.last; tile += tiles.tile_bytes()) {
    if (step.ahead != 0) prefetch_lines(tile, tiles.tile_bytes(), step.ahead);
    for (std::size_t j = 0; j < tiles.tile_blocks() && b < step.last; ++j, ++b) {
      KAKEYA_UNROLL
      for (std::size_t q = 0; q < kQuads; ++q) {
        int8x16_t codes[kBlockGroups];
        KAKEYA_UNROLL
        for (std::size_t g = 0; g < kBlockGroups; ++g) {
          codes[g] = load_codes<kType>(tiles.block(tile, j), g, 16 * q);
        }
        const Scales scales = load_scales(tiles, tile, j, 4 * q);
        add_block<kType>(codes, scales, block, acc[q]);
      }
      block.next();
    }
  }
  KAKEYA_UNROLL
  for (std::size_t q = 0; q < kQuads; ++q) {
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) vst1q_f32(sums[r] + 4 * q, acc[q][r]);
  }
  for (std::size_t r = 0; r < R; ++r) std::copy_n(sums[r], outputs, y.data + r * y.stride + output);
}
