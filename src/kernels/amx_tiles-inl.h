// The tile registers of AMX. Included inside the region of a file that compiles for it, within its own
// namespace, after KAKEYA_INLINE is there.

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void set(int tile, std::size_t count, std::size_t bytes) {
    rows[tile] = static_cast<std::uint8_t>(count);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
};
static_assert(sizeof(TileConfig) == 64);

// The tile registers of this thread, for one call: a thread that keeps them pays for it at every switch.
class TileRegisters {
 public:
  explicit TileRegisters(const TileConfig& config) { asm volatile("ldtilecfg %0" ::"m"(config)); }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Not the compilers' own intrinsics: GCC 12's do not tell it that they read and write memory.
template <int kTile>
KAKEYA_INLINE void tile_load(const void* p, std::size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
KAKEYA_INLINE void tile_store(void* p) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(std::size_t{64}), "i"(kTile) : "memory");
}
template <int kTile>
KAKEYA_INLINE void tile_clear() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
