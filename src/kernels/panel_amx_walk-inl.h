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

// A block of a panel: its tile, and which of the tile's it is.
template <WeightType kType>
struct BlockAt {
  const std::uint8_t* tile;
  std::size_t j = 0;

  KAKEYA_INLINE void next(const Tiles<kType>& tiles) {
    if (++j < tiles.tile_blocks()) return;
    j = 0;
    tile += tiles.tile_bytes();
  }
};

// Phases of panels [first, end) in the order in which they are used: one of every panel, then the next of
// every panel. A phase begins with a tile.
template <WeightType kType>
class Phases {
 public:
  Phases(const Tiles<kType>& tiles, std::size_t first, std::size_t end, std::size_t blocks)
      : panels_(end - first),
        panel_bytes_(tiles.panel_bytes),
        phase_bytes_(kPhase / tiles.tile_blocks() * tiles.tile_bytes()),
        left_(panels_),
        blocks_(blocks),
        start_(tiles.tile(first, 0)),
        at_(start_) {}
  // Blocks of this phase: 0 when there is none left.
  std::size_t count() const { return std::min(kPhase, blocks_); }
  // Of the last phase when none is left.
  const std::uint8_t* tile() const { return at_; }
  std::size_t bytes() const { return phase_bytes_; }

  KAKEYA_INLINE void next() {
    if (blocks_ == 0) return;
    if (--left_ != 0) {
      at_ += panel_bytes_;
      return;
    }
    left_ = panels_;
    blocks_ -= count();
    if (blocks_ == 0) return;
    start_ += phase_bytes_;
    at_ = start_;
  }

 private:
  std::size_t panels_, panel_bytes_, phase_bytes_;
  std::size_t left_, blocks_;  // panels with this phase to come, blocks of a panel from this phase on
  const std::uint8_t *start_, *at_;
};

// Asks for the lines of phases, evenly over time: a burst of requests waits for room in the queue of a cache.
template <WeightType kType>
class Fetcher {
 public:
  // Asks for what is used first at once.
  explicit Fetcher(const Phases<kType>& phases)
      : phases_(phases), per_step_(phases.bytes() / 64 / kSteps), rest_(phases.bytes() / 64 % kSteps) {
    for (std::size_t bytes = 0; bytes < kAhead; bytes += phases_.bytes(), phases_.next()) {
      prefetch_lines(phases_.tile(), phases_.bytes(), 0);
    }
  }
  KAKEYA_INLINE void start_phase() {
    at_ = phases_.tile();
    phases_.next();
    ask_lines(kFixed ? kRest : rest_);
  }
  // A phase has a step for each block's product and one for its sums.
  KAKEYA_INLINE void ask(std::size_t steps) { ask_lines(steps * (kFixed ? kPerStep : per_step_)); }

 private:
  static constexpr std::size_t kSteps = 2 * kPhase;
  static constexpr bool kFixed = !Tiles<kType>::kAffine;
  static constexpr std::size_t kLines =
      kFixed ? kPhase / Tiles<kType>::kLayout.tile_blocks * Tiles<kType>::kLayout.tile_bytes() / 64 : 0;
  static constexpr std::size_t kPerStep = kLines / kSteps, kRest = kLines % kSteps;

  KAKEYA_INLINE void ask_lines(std::size_t n) {
    prefetch_lines(at_, 64 * n, 0);
    at_ += 64 * n;
  }

  Phases<kType> phases_;
  std::size_t per_step_, rest_;
  const std::uint8_t* at_ = nullptr;
};
