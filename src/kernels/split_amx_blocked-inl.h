// Products of bf16 weights with many rows. Included inside the region of split_amx.cc, after
// split_amx_tiles-inl.h.

// Many rows. Slices of weights are laid out as tiles once for all rows of a run; sums lie in memory between
// slices. What of the activations is at work, a slice of all rows, stays in the second-level cache while
// pairs of 16 outputs go by.
class Blocked {
 public:
  Blocked(const Weight& w, const SplitRows& x, Rows<float> y, std::size_t last)
      : weights_(static_cast<const std::byte*>(w.data)),
        row_bytes_(w.in * sizeof(std::uint16_t)),
        steps_(w.in / kStep),
        x_(x),
        y_(y),
        last_(last) {}

  void run(std::size_t first) {
    for (std::size_t group = 0; group < x_.groups(); group += kRunGroups) {
      const std::size_t end = std::min(x_.groups(), group + kRunGroups);
      for (std::size_t output = first; output < last_; output += kPairs * kPair) {
        run_outputs(output, std::min(last_, output + kPairs * kPair), group, end);
      }
    }
  }

 private:
  static constexpr std::size_t kPair = 2 * kOutputs;
  static constexpr std::size_t kSlice = 16;      // steps
  static constexpr std::size_t kPairs = 8;       // of outputs, whose sums are in memory
  static constexpr std::size_t kRunGroups = 16;  // of rows

  // Rows of the next slice's weights, asked for line by line.
  struct Ahead {
    const std::byte* at = nullptr;
    std::size_t row_bytes = 0, rows = 0, lines = 0;  // rows to come; lines of a row
    std::size_t line = 0, per_step = 0;

    KAKEYA_INLINE void ask() {
      for (std::size_t i = 0; i < per_step && rows > 0; ++i) {
        _mm_prefetch(reinterpret_cast<const char*>(at + line * kStepBytes), _MM_HINT_T0);
        if (++line < lines) continue;
        line = 0;
        --rows;
        at += row_bytes;
      }
    }
  };

  std::size_t slice_steps(std::size_t step) const { return std::min(kSlice, steps_ - step); }
  const std::byte* weights_at(std::size_t output, std::size_t step) const {
    return weights_ + output * row_bytes_ + step * kStepBytes;
  }

  // Outputs [first, last) for the rows of groups [group, end).
  void run_outputs(std::size_t first, std::size_t last, std::size_t group, std::size_t end) {
    for (std::size_t step = 0; step < steps_; step += kSlice) {
      for (std::size_t output = first; output < last; output += kPair) {
        lay_out(output, step);
        const bool more = output + kPair < last;
        const std::size_t next = more ? output + kPair : first, next_step = more ? step : step + kSlice;
        if (next_step < steps_) {
          const std::size_t rows = std::min(kPair, last_ - next), lines = slice_steps(next_step);
          const std::size_t turns = (end - group + 1) / 2 * slice_steps(step);
          ahead_ = {weights_at(next, next_step), row_bytes_, rows, lines, 0, rows * lines / turns + 1};
        }
        for (std::size_t g = group; g < end; g += 2) {
          TileSums* sums = sums_[(output - first) / kPair][g - group];
          if (g + 1 < end) {
            add_slice<2>(g, step, sums);
          } else {
            add_slice<1>(g, step, sums);
          }
          if (step + kSlice < steps_) continue;
          for (std::size_t i = g; i < std::min(end, g + 2); ++i) write(output, i, sums + 2 * (i - g));
        }
      }
    }
  }

  // A slice of 32 outputs as tiles; outputs beyond the last are zeros.
  void lay_out(std::size_t output, std::size_t step) {
    const std::size_t steps = slice_steps(step);
    for (std::size_t o = 0; o < kPair; ++o) {
      std::byte* to = tiles_[o / kOutputs][0] + o % kOutputs * kStepBytes;
      const std::byte* from = weights_at(output + o, step);
      const bool there = output + o < last_;
      for (std::size_t i = 0; i < steps; ++i, to += kTileBytes, from += kStepBytes) {
        _mm512_store_si512(to, there ? _mm512_loadu_si512(from) : _mm512_setzero_si512());
      }
    }
  }

  // `sums`: of the first group with the first and with the second 16 outputs, then of the second.
  template <int kGroups>
  void add_slice(std::size_t group, std::size_t step, TileSums* sums) {
    constexpr std::size_t kPart = kStep / 2 * 64;
    const std::size_t steps = slice_steps(step);
    const auto* a = reinterpret_cast<const std::byte*>(x_.group(group)) + step * kParts * kPart;
    const auto* b = reinterpret_cast<const std::byte*>(x_.group(group + kGroups - 1)) + step * kParts * kPart;
    start<kSums>(step, sums[0]);
    start<kSums + 1>(step, sums[1]);
    if constexpr (kGroups == 2) {
      start<kSums + 2>(step, sums[2]);
      start<kSums + 3>(step, sums[3]);
    }
    Ahead ahead = ahead_;
    for (std::size_t i = 0; i < steps; ++i) {
      ahead.ask();
      tile_load<kWeights>(tiles_[0][i], kStepBytes);
      tile_load<kWeights + 1>(tiles_[1][i], kStepBytes);
      for (std::size_t part = 0; part < kParts; ++part, a += kPart, b += kPart) {
        tile_load<kRows>(a, 64);
        ask_rows(a + 2 * kPart);
        add_products<kSums, kWeights, kRows>();
        add_products<kSums + 1, kWeights + 1, kRows>();
        if constexpr (kGroups == 2) {
          ask_rows(b + 2 * kPart);
          tile_load<kRows + 1>(b, 64);
          add_products<kSums + 2, kWeights, kRows + 1>();
          add_products<kSums + 3, kWeights + 1, kRows + 1>();
        }
      }
    }
    ahead_ = ahead;
    tile_store<kSums>(sums[0]);
    tile_store<kSums + 1>(sums[1]);
    if constexpr (kGroups == 2) {
      tile_store<kSums + 2>(sums[2]);
      tile_store<kSums + 3>(sums[3]);
    }
  }

  template <int kTile>
  static KAKEYA_INLINE void start(std::size_t step, const TileSums& sums) {
    if (step == 0) {
      tile_clear<kTile>();
    } else {
      tile_load<kTile>(sums, 64);
    }
  }

  void write(std::size_t output, std::size_t group, const TileSums* sums) const {
    const Rows<float> y = y_.sub(group * kGroup, std::min(kGroup, y_.rows - group * kGroup));
    write_sums(sums[0], output, last_, y);
    if (output + kOutputs < last_) write_sums(sums[1], output + kOutputs, last_, y);
  }

  static constexpr std::size_t kTileBytes = kOutputs * kStepBytes;

  const std::byte* weights_;
  std::size_t row_bytes_, steps_;
  const SplitRows& x_;
  Rows<float> y_;
  std::size_t last_;
  Ahead ahead_;
  alignas(64) std::byte tiles_[2][kSlice][kTileBytes];
  alignas(64) TileSums sums_[kPairs][kRunGroups][2];
};
