// What an AMX kernel of panels does with one block: codes to scratch, tile products, their sums to float.
// Included inside the region of panel_amx.cc, after panel_tiles-inl.h, panel_avx512-inl.h and
// amx_tiles-inl.h.

constexpr std::size_t kBlockCodes = kPanelOutputs * kActivationBlock;
// Rows up to which two units share a product: see Fit::kPaired.
constexpr std::size_t kPairRows = 8;

// How rows of activations and units fill the tiles. A unit is what has one scale: a block, of Q6_K a half.
enum class Fit {
  kGroup,  // up to 16 rows
  kLast,   // the last, shorter group of several
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

// Tiles: sums of products in turn, activations and weights; sums and activations again for the last, shorter
// group of several.
constexpr int kSums = 0, kRows = 3, kCodes = 4, kLastSums = 5, kLastRows = 7;
// How many sums are in tiles at once: those of a product are stored when the next ones are under way. A store
// right after its product waits for it, and the next product for the store.
template <Fit kFit>
constexpr std::size_t kInTiles = kFit == Fit::kLast ? kLastRows - kLastSums : kRows - kSums;

// For tiles of `inputs` inputs: rows of whole groups, or of the only one, and of the last.
inline TileConfig panel_tiles_config(std::size_t rows, std::size_t last_rows, std::size_t inputs) {
  TileConfig config;
  for (int tile = kSums; tile < kRows; ++tile) config.set(tile, rows, 64);
  config.set(kRows, rows, inputs);
  config.set(kCodes, inputs / 4, 64);
  for (int tile = kLastSums; tile < kLastRows; ++tile) config.set(tile, last_rows, 64);
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

// Codes reach the tiles this many times: half of those of Q4_0 are then in place, and how sums become float
// with few rows takes it off again.
template <WeightType kType, Fit kFit>
constexpr int kFold = kType == WeightType::kQ4_0&& kFit == Fit::kPaired ? 16 : 1;

// Two k-groups of 4-bit codes that share bytes, less the zero point, times kFold. Bit matrices move halves of
// bytes: one operation in place of a shift and a mask. nibble - 8 is the nibble with its bit 3 inverted,
// taken as signed.
template <WeightType kType, Fit kFit>
KAKEYA_INLINE void load_pair(const std::uint8_t* p, __m512i& low, __m512i& high) {
  const __m512i pair = load_vector(p);
  if constexpr (kFold<kType, kFit> == 16) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i upper = _mm512_set1_epi8(static_cast<char>(0xf0));
    low = _mm512_gf2p8affine_epi64_epi8(pair, _mm512_set1_epi64(0x01020408), 0x80);
    high = _mm512_ternarylogic_epi32(pair, flip, upper, 0x28);  // (pair ^ flip) & upper
  } else if constexpr (kSigned<kType>) {                        // bit 3 is copied upwards
    low = _mm512_gf2p8affine_epi64_epi8(pair, _mm512_set1_epi64(0x0102040808080808), 0xf8);
    high = _mm512_gf2p8affine_epi64_epi8(pair, _mm512_set1_epi64(0x1020408080808080), 0xf8);
  } else {
    low = _mm512_and_si512(pair, _mm512_set1_epi8(15));
    high = _mm512_gf2p8affine_epi64_epi8(pair, _mm512_set1_epi64(0x1020408000000000), 0);
  }
}

// The eight k-groups of a block less the zero point, times kFold.
template <WeightType kType, Fit kFit>
KAKEYA_INLINE void load_signed(const std::uint8_t* block, __m512i (&codes)[kBlockGroups]) {
  if constexpr (panel_layout(kType).block_bytes() == kBlockGroups / 2 * kPanelVector) {
    KAKEYA_UNROLL
    for (std::size_t g = 0; g < kBlockGroups; g += 2) {
      load_pair<kType, kFit>(block + g / 2 * kPanelVector, codes[g], codes[g + 1]);
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

template <WeightType kType, Fit kFit>
KAKEYA_INLINE void unpack(const Tiles<kType>& tiles, const std::uint8_t* tile, std::size_t j,
                          std::uint8_t* to, BlockScales& to_scales) {
  __m512i codes[kBlockGroups];
  load_signed<kType, kFit>(tiles.block(tile, j), codes);
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

// What the products of some blocks read, one after another, and where their sums go: [products][16 rows].
template <WeightType kType, Fit kFit>
struct Products {
  static constexpr std::size_t kInputs = kActivationBlock / kParts<kType>;
  // Of a product a part of a block, or of a block as many products as it has parts.
  static constexpr std::size_t kStep = kProductBlocks<kType, kFit>;
  static constexpr std::size_t kOfBlock = kFit == Fit::kPaired ? 1 : kParts<kType>;

  const std::int8_t* x;
  std::size_t x_bytes;  // of a block
  const BlockCodes* codes;
  Sums* sums;

  template <std::size_t kTile>
  KAKEYA_INLINE void multiply(std::size_t i) const {
    constexpr int kSumsTile = (kFit == Fit::kLast ? kLastSums : kSums) + static_cast<int>(kTile);
    constexpr int kRowsTile = kFit == Fit::kLast ? kLastRows : kRows;
    const std::size_t block = i / kOfBlock * kStep, part = i % kOfBlock;
    tile_load<kCodes>(codes[block] + part * 4 * kPanelVector, kPanelVector);
    tile_load<kRowsTile>(x + block * x_bytes + part * kInputs,
                         kFit == Fit::kPaired ? 2 * kInputs : kActivationBlock);
    tile_product<kSumsTile, kRowsTile, kSigned<kType>>();
  }
  template <std::size_t kTile>
  KAKEYA_INLINE void store(std::size_t i) const {
    tile_store<(kFit == Fit::kLast ? kLastSums : kSums) + static_cast<int>(kTile)>(
        sums[i * Int8Rows::kGroup]);
  }
};

// Calls f<0>() to f<n - 1>().
template <class F, std::size_t... i>
KAKEYA_INLINE void for_each(std::index_sequence<i...>, F f) {
  (f.template operator()<i>(), ...);
}

// Products of `count` blocks. `before` is called with the number of blocks of the product to come.
template <WeightType kType, Fit kFit, class Before>
KAKEYA_INLINE void multiply_phase(const Products<kType, kFit>& p, std::size_t count, Before before) {
  using All = Products<kType, kFit>;
  constexpr std::size_t kTiles = kInTiles<kFit>, kPhaseProducts = kPhase / All::kStep * All::kOfBlock;
  if (count != kPhase) {
    for (std::size_t i = 0; i < count / All::kStep * All::kOfBlock; ++i) {
      if (i % All::kOfBlock == 0) before(All::kStep);
      p.template multiply<0>(i);
      p.template store<0>(i);
    }
    return;
  }
  for_each(std::make_index_sequence<kPhaseProducts + kTiles - 1>(),
           [&]<std::size_t i>() KAKEYA_INLINE_LAMBDA {
             if constexpr (i < kPhaseProducts) {
               if constexpr (i % All::kOfBlock == 0) before(All::kStep);
               p.template multiply<i % kTiles>(i);
             }
             if constexpr (i + 1 >= kTiles) p.template store<(i + 1) % kTiles>(i + 1 - kTiles);
           });
}

// A sum as float, exactly. Beside tiles a core converts on one port only, which the multiplications need as
// well, and adds on two. So with few rows, whose sums follow soon on their tiles, it is added to the bits of
// 1.5 * 2^k, the unit of whose last place is one code: that is the number plus the sum. A sum is less than
// 2^21 (32 * 127 * 255), and what is folded less than 2^20.
template <WeightType kType, Fit kFit>
KAKEYA_INLINE __m512 to_float(__m512i sum) {
  if constexpr (kFit != Fit::kPaired) return _mm512_cvtepi32_ps(sum);
  const __m512 base = _mm512_set1_ps(1.5f * (1 << 23) / kFold<kType, kFit>);
  return _mm512_sub_ps(_mm512_castsi512_ps(_mm512_add_epi32(sum, _mm512_castps_si512(base))), base);
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
      const __m512 sum = to_float<kType, kFit>(_mm512_load_si512(sums[part * kUnitRows<kFit> + r]));
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
