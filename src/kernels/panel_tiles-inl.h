// What the kernels of panels share whatever the instruction set: where blocks lie, and the loops over row
// runs, slices and panels around a kernel for a few rows. Included inside the region of a file that compiles
// for its instruction set, within its own namespace.

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"  // loops of one turn cannot be unrolled
#endif

constexpr bool has_min(WeightType type) { return panel_layout(type).zero == 0; }

// Where the kernels are in a matrix: its layout with what is fixed by the type as a constant.
template <WeightType kType>
struct Tiles {
  static constexpr PanelLayout kLayout = panel_layout(kType);
  static constexpr bool kAffine = kType == WeightType::kAffine4 || kType == WeightType::kAffine8;

  explicit Tiles(const Weight& w)
      : layout(panel_layout(w)),
        scale_type(w.scale_type),
        panel_bytes(panel_tiles(layout, w.in) * layout.tile_bytes()),
        data(static_cast<const std::uint8_t*>(w.data)) {}

  KAKEYA_INLINE std::size_t tile_blocks() const { return kAffine ? layout.tile_blocks : kLayout.tile_blocks; }
  KAKEYA_INLINE std::size_t header_bytes() const {
    return kAffine ? layout.header_bytes : kLayout.header_bytes;
  }
  KAKEYA_INLINE std::size_t tile_bytes() const {
    return header_bytes() + tile_blocks() * kLayout.block_bytes();
  }
  KAKEYA_INLINE const std::uint8_t* tile(std::size_t panel, std::size_t block) const {
    return data + panel * panel_bytes + block / tile_blocks() * tile_bytes();
  }
  KAKEYA_INLINE const std::uint8_t* block(const std::uint8_t* tile, std::size_t j) const {
    return tile + header_bytes() + j * kLayout.block_bytes();
  }

  PanelLayout layout;
  WeightType scale_type;
  std::size_t panel_bytes;
  const std::uint8_t* data;
};

// Where lines are asked into: the first-level cache has no room for much that is on its way from memory.
enum class Into { kSecondLevel = 2, kFirstLevel = 3 };
// Asks for bytes, a line at a time, that will be read `ahead` bytes after `p`.
template <Into kInto = Into::kSecondLevel>
KAKEYA_INLINE void prefetch_lines(const std::uint8_t* p, std::size_t bytes, std::size_t ahead) {
  p += ahead;
  asm("" : "+r"(p));  // one address and constants, not an address a line
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, static_cast<int>(kInto));
}

template <class F>
KAKEYA_INLINE void for_type(WeightType type, F f) {
  switch (type) {
    case WeightType::kQ4_0:
      return f.template operator()<WeightType::kQ4_0>();
    case WeightType::kQ8_0:
      return f.template operator()<WeightType::kQ8_0>();
    case WeightType::kQ4K:
      return f.template operator()<WeightType::kQ4K>();
    case WeightType::kQ5K:
      return f.template operator()<WeightType::kQ5K>();
    case WeightType::kQ6K:
      return f.template operator()<WeightType::kQ6K>();
    case WeightType::kAffine4:
      return f.template operator()<WeightType::kAffine4>();
    case WeightType::kAffine8:
      return f.template operator()<WeightType::kAffine8>();
    default:
      KAKEYA_CHECK(is_quantised(type));
  }
}

// Blocks [first, last) of a panel for the rows that start at `row` of a group; weights are asked for `ahead`
// bytes before their use, 0: not at all.
struct Step {
  std::size_t panel, first, last, row, ahead;
};

// A block of the first of some rows; the others follow it.
struct Activations {
  const std::int8_t* codes;
  const float* scales;
  const float* scaled_sums;
  const std::int32_t* negative_sums;
  std::size_t rows;  // of the group: how far it is to the next block

  Activations(const Int8Rows& x, std::size_t block, std::size_t row)
      : codes(x.codes + (block * x.rows + row) * kActivationBlock),
        scales(x.scales + block * x.rows + row),
        scaled_sums(x.scaled_sums + block * x.rows + row),
        negative_sums(x.negative_sums + 2 * (block * x.rows + row)),
        rows(x.rows) {}
  KAKEYA_INLINE void next() {
    codes += rows * kActivationBlock;
    scales += rows;
    scaled_sums += rows;
    negative_sums += 2 * rows;
  }
};
