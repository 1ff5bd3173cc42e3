// Which block comes when in the AMX kernels of panels. Included inside the region of panel_amx.cc, after
// panel_amx_tiles-inl.h.

// How far ahead of use weights are asked for when they are read once and in order.
constexpr std::size_t kAhead = 9000;

// Lines to ask for while a group of rows is at work.
struct Lines {
  const std::uint8_t* at = nullptr;
  const std::uint8_t* end = nullptr;
  std::size_t per_block = 0;

  KAKEYA_INLINE void ask() {
    for (std::size_t i = 0; i < per_block && at < end; ++i, at += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0);
    }
  }
};

// The blocks of panels [first, end) in the order in which they are used: a phase of every panel, then the
// next.
template <WeightType kType>
class Walk {
 public:
  Walk(const Tiles<kType>& tiles, std::size_t first, std::size_t end, std::size_t blocks)
      : tiles_(tiles), first_(first), end_(end), blocks_(blocks), panel_(first) {
    start();
  }
  bool done() const { return block_ >= blocks_; }
  const std::uint8_t* tile() const { return tile_; }
  std::size_t j() const { return j_; }

  // `count` blocks on: one, or a tile.
  KAKEYA_INLINE void next(std::size_t count) {
    if (left_ > count) {
      left_ -= count;
      j_ += count;
      if (j_ < tiles_.tile_blocks()) return;
      j_ = 0;
      tile_ += tiles_.tile_bytes();
      return;
    }
    if (++panel_ == end_) {
      panel_ = first_;
      block_ += kPhase;
    }
    if (!done()) start();
  }

 private:
  void start() {
    tile_ = tiles_.tile(panel_, block_);
    j_ = 0;
    left_ = std::min(kPhase, blocks_ - block_);
  }

  const Tiles<kType>& tiles_;
  std::size_t first_, end_, blocks_, panel_, block_ = 0, left_ = 0, j_ = 0;
  const std::uint8_t* tile_ = nullptr;
};

// Asks for the tiles of a walk, evenly over time: a burst of requests waits for room in the queue of a cache.
template <WeightType kType>
class Fetcher {
 public:
  Fetcher(const Tiles<kType>& tiles, const Walk<kType>& walk) : tiles_(tiles), walk_(walk) {
    for (std::size_t bytes = 0; bytes < kAhead; bytes += tiles_.tile_bytes()) ask_tile();
  }
  // Blocks count twice: once for their product, once for their sums.
  KAKEYA_INLINE void ask(std::size_t blocks) {
    due_ += blocks;
    if (due_ < 2 * tiles_.tile_blocks()) return;
    due_ -= 2 * tiles_.tile_blocks();
    ask_tile();
  }

 private:
  KAKEYA_INLINE void ask_tile() {
    if (walk_.done()) return;
    prefetch_lines(walk_.tile(), tiles_.tile_bytes(), 0);
    walk_.next(tiles_.tile_blocks());
  }

  const Tiles<kType>& tiles_;
  Walk<kType> walk_;
  std::size_t due_ = 0;
};

// Unpacks a walk's blocks a phase ahead of their sums' use, and asks for bytes ahead of that.
template <WeightType kType>
class Unpacker {
 public:
  Unpacker(const Tiles<kType>& tiles, std::size_t first, std::size_t end, std::size_t blocks)
      : tiles_(tiles), walk_(tiles, first, end, blocks), fetcher_(tiles, walk_) {
    for (std::size_t i = 0; i < kPhase; ++i) next();
  }
  // Block `i` of the walk, which is given up by next().
  const std::uint8_t* codes(std::size_t i) const { return codes_[i % kPhase]; }
  const BlockScales& scales(std::size_t i) const { return scales_[i % (2 * kPhase)]; }

  KAKEYA_INLINE void ask(std::size_t blocks) { fetcher_.ask(blocks); }
  KAKEYA_INLINE void next() {
    if (walk_.done()) return;
    unpack(tiles_, walk_.tile(), walk_.j(), codes_[count_ % kPhase], scales_[count_ % (2 * kPhase)]);
    ++count_;
    walk_.next(1);
  }

 private:
  const Tiles<kType>& tiles_;
  Walk<kType> walk_;
  Fetcher<kType> fetcher_;
  std::size_t count_ = 0;
  // Codes are done with when their product is, scales when the sums are added.
  alignas(64) BlockCodes codes_[kPhase];
  BlockScales scales_[2 * kPhase];
};
