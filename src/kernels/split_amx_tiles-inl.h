// Tiles for products of bf16 weights: 32 inputs of 16 outputs as they lie in the matrix, the same inputs of
// 16 rows, and sums of 16 outputs and 16 rows. Included inside the region of split_amx.cc, after
// amx_tiles-inl.h.

constexpr std::size_t kOutputs = 16, kGroup = SplitRows::kGroup, kStep = SplitRows::kStep;
constexpr std::size_t kParts = SplitRows::kParts;
constexpr std::size_t kStepBytes = kStep * sizeof(std::uint16_t);
constexpr std::size_t kPage = 4096;
// From this number of rows on, two tiles of weights share each tile of activations.
constexpr std::size_t kPairRows = kGroup + 1;
// Tiles: sums, weights, activations.
constexpr int kSums = 0, kWeights = 4, kRows = 6, kTileCount = 8;
static_assert(kParts == 3);

using TileSums = float[kOutputs][kGroup];

template <int kSum, int kWeight, int kRow>
KAKEYA_INLINE void add_products() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kWeight), "i"(kRow));
}

// Tiles of `outputs` outputs and `width` rows.
TileConfig split_tiles_config(std::size_t outputs, std::size_t width) {
  TileConfig config;
  for (int tile = kSums; tile < kWeights; ++tile) config.set(tile, outputs, 4 * width);
  for (int tile = kWeights; tile < kRows; ++tile) config.set(tile, outputs, kStepBytes);
  for (int tile = kRows; tile < kTileCount; ++tile) config.set(tile, kStep / 2, 4 * width);
  return config;
}

// Sums of outputs [output, last), 16 at most, to the rows of y.
KAKEYA_INLINE void write_sums(const TileSums& sums, std::size_t output, std::size_t last, Rows<float> y) {
  const std::size_t n = std::min(last - output, kOutputs);
  const auto mask = static_cast<__mmask16>((1u << n) - 1);
  const __m512i places = _mm512_slli_epi32(
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 4);  // rows of `sums`
  for (std::size_t r = 0; r < y.rows; ++r) {
    _mm512_mask_storeu_ps(y.data + r * y.stride + output, mask,
                          _mm512_i32gather_ps(places, sums[0] + r, sizeof(float)));
  }
}

// A tile of activations into the first-level cache: loads of tiles wait for the second level one by one.
KAKEYA_INLINE void ask_rows(const std::byte* tile) {
  for (std::size_t i = 0; i < kStep / 2; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(tile + 64 * i), _MM_HINT_T0);
  }
}
