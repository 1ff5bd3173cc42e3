// What an AMX kernel of panels does with one block: codes to scratch, tile products, their sums to float.
// Included inside the region of panel_amx.cc, after panel_tiles-inl.h, panel_avx512-inl.h and
// amx_tiles-inl.h.

constexpr std::size_t kBlockCodes = kPanelOutputs * kActivationBlock;
// Rows up to which two units share a product: see Fit::kPaired.
constexpr std::size_t kPairRows = 8;

// How rows of activations and units fill the tiles. A unit is what has one scale: a block, of Q6_K a half.
enum class Fit {
  kGroup,  // 16 rows
  kLast,   // the last, shorter group
  // Up to eight rows with two units at once: sums 0 to 7 of the first, 8 to 15 of the second. A row has zeros
  // where the other unit's codes are. A store of a tile takes as long for eight rows as for sixteen.
  kPaired,
};

// Blocks whose products are all made before their sums are read. For some hundred cycles after a tile
// instruction a core has one port for products of full vectors and not two, so tiles and vectors take turns:
// few blocks, and too much of the time is spent between the two; many, and sums do not stay in the
// first-level cache.
constexpr std::size_t kPhase = 8;

template <WeightType kType>
constexpr std::size_t kParts = kType == WeightType::kQ6K ? 2 : 1;
// Weights reach the tiles signed where that takes the zero point off.
template <WeightType kType>
constexpr bool kSigned = panel_layout(kType).zero != 0;
template <Fit kFit>
constexpr std::size_t kUnitRows = kFit == Fit::kPaired ? kPairRows : Int8Rows::kGroup;

// Tiles: sums, activations and weights; sums and activations again for the last, shorter group.
constexpr int kSums = 0, kRows = 1, kCodes = 2, kLastSums = 3, kLastRows = 4;

// For tiles of `inputs` inputs: rows of whole groups and of the last.
inline TileConfig panel_tiles_config(std::size_t rows, std::size_t last_rows, std::size_t inputs) {
  TileConfig config;
  config.set(kSums, rows, 64);
  config.set(kRows, rows, inputs);
  config.set(kCodes, inputs / 4, 64);
  config.set(kLastSums, last_rows, 64);
  config.set(kLastRows, last_rows, inputs);
  return config;
}

// sums = rows . codes, rows signed.
template <int kSumsTile, int kRowsTile, bool kSignedCodes>
KAKEYA_INLINE void tile_product() {
  if constexpr (kSignedCodes) {
    asm volatile("tilezero %%tmm%c0\n\ttdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSumsTile), "i"(kRowsTile),
                 "i"(kCodes));
  } else {
    asm volatile("tilezero %%tmm%c0\n\ttdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSumsTile), "i"(kRowsTile),
                 "i"(kCodes));
  }
}

// A block between unpacking and use.
struct BlockScales {
  alignas(64) float scale[2][kPanelOutputs];
  alignas(64) float min[kPanelOutputs];
};
using BlockCodes = std::uint8_t[kBlockCodes];
// Integer sums of 16 outputs, a row after the other.
using Sums = std::int32_t[kPanelOutputs];

// The eight k-groups of a block less the zero point.
template <WeightType kType>
KAKEYA_INLINE void load_signed(const std::uint8_t* block, __m512i (&codes)[kBlockGroups]) {
  if constexpr (kType == WeightType::kQ4_0) {
    // A bit matrix takes a nibble to nibble - 8: bit 3 inverted, and copied upwards.
    const __m512i low = _mm512_set1_epi64(0x0102040808080808);
    const __m512i high = _mm512_set1_epi64(0x1020408080808080);
    KAKEYA_UNROLL
    for (std::size_t g = 0; g < kBlockGroups; ++g) {
      const __m512i pair = load_vector(block + g / 2 * kPanelVector);
      codes[g] = _mm512_gf2p8affine_epi64_epi8(pair, g % 2 == 0 ? low : high, 0xf8);
    }
    return;
  }
  load_codes<kType>(block, codes);
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(panel_layout(kType).zero));
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; ++g) {
    if constexpr (kSigned<kType>) codes[g] = _mm512_sub_epi8(codes[g], zero);
  }
}

template <WeightType kType>
KAKEYA_INLINE void unpack(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                          std::uint8_t* to, BlockScales& to_scales) {
  __m512i codes[kBlockGroups];
  load_signed<kType>(tiles.block(tile, j), codes);
  KAKEYA_UNROLL
  for (std::size_t g = 0; g < kBlockGroups; ++g) _mm512_store_si512(to + g * kPanelVector, codes[g]);
  const Scales scales = load_scales(tiles, tile, j);
  _mm512_store_ps(to_scales.scale[0], scales.scale);
  if constexpr (kParts<kType> == 2) _mm512_store_ps(to_scales.scale[1], scales.second);
  if constexpr (has_min(kType)) _mm512_store_ps(to_scales.min, scales.min);
}

// Blocks of a product.
template <WeightType kType, Fit kFit>
constexpr std::size_t kProductBlocks = kFit == Fit::kPaired&& kParts<kType> == 1 ? 2 : 1;
// Bytes of activations of a product.
template <WeightType kType>
constexpr std::size_t kPairedBytes = 2 * kPairRows * 2 * kActivationBlock / kParts<kType>;

// sums [units, kUnitRows] = activations . codes, of as many blocks as a product takes.
template <WeightType kType, Fit kFit>
KAKEYA_INLINE void multiply(const std::int8_t* x, const std::uint8_t* codes, Sums* sums) {
  constexpr int kSumsTile = kFit == Fit::kLast ? kLastSums : kSums;
  constexpr int kRowsTile = kFit == Fit::kLast ? kLastRows : kRows;
  constexpr std::size_t kInputs = kActivationBlock / kParts<kType>;
  if constexpr (kFit == Fit::kPaired) {
    tile_load<kCodes>(codes, kPanelVector);
    tile_load<kRows>(x, 2 * kInputs);
    tile_product<kSums, kRows, kSigned<kType>>();
    tile_store<kSums>(sums);
    return;
  }
  KAKEYA_UNROLL
  for (std::size_t part = 0; part < kParts<kType>; ++part) {
    tile_load<kCodes>(codes + part * 4 * kPanelVector, kPanelVector);
    tile_load<kRowsTile>(x + part * kInputs, kActivationBlock);
    tile_product<kSumsTile, kRowsTile, kSigned<kType>>();
    tile_store<kSumsTile>(sums + part * Int8Rows::kGroup);
  }
}

// Adds a block's sums [parts, kUnitRows] of R rows with their scales and scaled sums.
template <WeightType kType, Fit kFit, std::size_t R>
KAKEYA_INLINE void add_block(const Sums* sums, const BlockScales& scales, const float* x_scales,
                             const float* x_sums, __m512 (&acc)[R]) {
  KAKEYA_UNROLL
  for (std::size_t part = 0; part < kParts<kType>; ++part) {
    const __m512 scale = _mm512_load_ps(scales.scale[part]);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums[part * kUnitRows<kFit> + r]));
      acc[r] = _mm512_fmadd_ps(sum, _mm512_mul_ps(scale, _mm512_set1_ps(x_scales[r])), acc[r]);
    }
  }
  if constexpr (has_min(kType)) {
    const __m512 min = _mm512_load_ps(scales.min);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      acc[r] = _mm512_fmadd_ps(min, _mm512_set1_ps(x_sums[r]), acc[r]);
    }
  }
}

KAKEYA_INLINE __m256i load_row(const std::int8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
// Activations of `count` blocks from `first` on for paired products, one after another; what lies in the
// place of rows that x does not have stays.
template <WeightType kType>
KAKEYA_INLINE void pair_rows(const Int8Rows& x, std::size_t first, std::size_t count, std::int8_t* to) {
  const std::size_t block_bytes = x.rows * kActivationBlock;
  const std::int8_t* from = x.codes + first * block_bytes;
  constexpr std::size_t kStep = kProductBlocks<kType, Fit::kPaired>,
                        kRow = kPairedBytes<kType> / (2 * kPairRows);
  for (std::size_t i = 0; i < count; i += kStep, from += kStep * block_bytes, to += kPairedBytes<kType>) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      const __m256i own = load_row(from + r * kActivationBlock);
      std::int8_t *of_first = to + r * kRow, *of_second = to + (kPairRows + r) * kRow;
      if constexpr (kStep == 2) {
        const __m256i next = load_row(from + block_bytes + r * kActivationBlock);
        _mm512_store_si512(of_first, _mm512_inserti64x4(_mm512_setzero_si512(), own, 0));
        _mm512_store_si512(of_second, _mm512_inserti64x4(_mm512_setzero_si512(), next, 1));
      } else {
        const __m256i zero = _mm256_setzero_si256();
        _mm256_store_si256(reinterpret_cast<__m256i*>(of_first), _mm256_blend_epi32(zero, own, 0x0f));
        _mm256_store_si256(reinterpret_cast<__m256i*>(of_second), _mm256_blend_epi32(zero, own, 0xf0));
      }
    }
  }
}
