// Which block comes when in the AMX kernels of panels. Included inside the region of panel_amx.cc, after
// panel_amx_tiles-inl.h.

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

// Asks for the lines of phases, evenly over time and of kTogether phases by turns: a core's own prefetcher,
// which follows each of them, is then ahead, and a request ends in the second-level cache. Requests that wait
// for memory fill the few buffers of the first level, and everything else waits for those.
template <WeightType kType>
class Fetcher {
 public:
  // Asks for what is used first at once.
  explicit Fetcher(const Phases<kType>& phases)
      : phases_(phases), per_step_(phases.bytes() / 64 / kSteps), rest_(phases.bytes() / 64 % kSteps) {
    for (std::size_t i = 0; i < kTogether; ++i, phases_.next()) {
      prefetch_lines<Into::kFirstLevel>(phases_.tile(), phases_.bytes(), 0);
    }
  }
  KAKEYA_INLINE void start_phase() {
    if (left_ == 0) {
      left_ = kTogether;
      KAKEYA_UNROLL
      for (std::size_t i = 0; i < kTogether; ++i, phases_.next()) at_[i] = phases_.tile();
    }
    --left_;
    ask_lines(kFixed ? kRest : rest_);
  }
  // A phase has a step for each block's product and one for its sums.
  KAKEYA_INLINE void ask(std::size_t steps) { ask_lines(steps * (kFixed ? kPerStep : per_step_)); }

 private:
  static constexpr std::size_t kTogether = 4;
  static constexpr std::size_t kSteps = 2 * kPhase;
  static constexpr bool kFixed = !Tiles<kType>::kAffine;
  static constexpr std::size_t kLines =
      kFixed ? kPhase / Tiles<kType>::kLayout.tile_blocks * Tiles<kType>::kLayout.tile_bytes() / 64 : 0;
  static constexpr std::size_t kPerStep = kLines / kSteps, kRest = kLines % kSteps;

  KAKEYA_INLINE void ask_lines(std::size_t n) {
    KAKEYA_UNROLL
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint8_t* p = at_[0];
      __builtin_prefetch(p, 0, 3);
      KAKEYA_UNROLL
      for (std::size_t k = 0; k + 1 < kTogether; ++k) at_[k] = at_[k + 1];
      at_[kTogether - 1] = p + 64;
    }
  }

  Phases<kType> phases_;
  std::size_t per_step_, rest_;
  std::size_t left_ = 0;                    // phases until the next are found
  const std::uint8_t* at_[kTogether] = {};  // the next lines, in turn
};
