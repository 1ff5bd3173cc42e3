// The loops around what the including file defines: kRowBlock, `add_rows<kType, R>` for R <= kRowBlock rows
// through some blocks of a panel, kTogether and, where that is more than 1, `add_rows<kType, R, kTogether>`
// for so many panels side by side.
//
// Side by side, each panel is a stream of memory of its own. A core fetches ahead in several streams faster
// than in one, and what activations need is loaded once for all panels.

// Blocks of a slice: with more rows than a row block, that much of a panel stays in the first-level cache.
constexpr std::size_t kSlice = 32;
// Rows whose slice stays in the second-level cache.
constexpr std::size_t kRowRun = 1024;
// How far ahead of use weights are asked for when they are read once and in order: far enough for a memory
// that other programs keep busy. Not a multiple of 4096: all would fall on the same few places of a cache.
constexpr std::size_t kAhead = 20736;

template <WeightType kType>
using RowFunction = void (*)(const Tiles<kType>&, const Int8Rows&, const Step&, Rows<float>, std::size_t);
template <WeightType kType, std::size_t... kIndex>
constexpr std::array<RowFunction<kType>, kRowBlock> row_functions(std::index_sequence<kIndex...>) {
  return {add_rows<kType, kIndex + 1>...};
}

template <WeightType kType>
void add_group(const Tiles<kType>& tiles, const Int8Rows& x, Step step, Rows<float> y, std::size_t last) {
  static constexpr auto kRows = row_functions<kType>(std::make_index_sequence<kRowBlock>());
  for (; step.row < x.rows; step.row += kRowBlock, step.ahead = 0) {
    const std::size_t rows = std::min(kRowBlock, x.rows - step.row);
    kRows[rows - 1](tiles, x, step, y.sub(step.row, rows), last);
  }
}

// Panels [panel, end), as far as there are kTogether of them, for R rows. Returns the first that is left.
template <WeightType kType, std::size_t R>
std::size_t add_side_by_side(const Tiles<kType>& tiles, const Int8Rows& x, Step step, std::size_t end,
                             Rows<float> y, std::size_t last) {
  if constexpr (kTogether > 1) {
    for (; step.panel + kTogether <= end; step.panel += kTogether) {
      add_rows<kType, R, kTogether>(tiles, x, step, y, last);
    }
  }
  return step.panel;
}
template <WeightType kType>
using SideFunction = std::size_t (*)(const Tiles<kType>&, const Int8Rows&, Step, std::size_t, Rows<float>,
                                     std::size_t);
template <WeightType kType, std::size_t... kIndex>
constexpr std::array<SideFunction<kType>, kRowBlock> side_functions(std::index_sequence<kIndex...>) {
  return {add_side_by_side<kType, kIndex + 1>...};
}

template <WeightType kType>
void matmul_of(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first, std::size_t last) {
  const Tiles<kType> tiles(w);
  const std::size_t blocks = w.in / kActivationBlock, groups = x.groups();
  const std::size_t slice = x.rows <= kRowBlock ? blocks : kSlice;
  const std::size_t ahead = slice >= blocks ? kAhead : tiles.panel_bytes;
  std::size_t begin = first / kPanelOutputs;
  const std::size_t end = (last + kPanelOutputs - 1) / kPanelOutputs;
  if (x.rows <= kRowBlock) {
    static constexpr auto kSides = side_functions<kType>(std::make_index_sequence<kRowBlock>());
    begin = kSides[x.rows - 1](tiles, x, {begin, 0, blocks, 0, 0}, end, y, last);
  }
  constexpr std::size_t kGroups = kRowRun / Int8Rows::kGroup;
  for (std::size_t run = 0; run < groups; run += kGroups) {
    for (std::size_t b = 0; b < blocks; b += slice) {
      for (std::size_t panel = begin; panel < end; ++panel) {
        for (std::size_t g = run; g < std::min(groups, run + kGroups); ++g) {
          const Int8Rows group = x.group(g);
          add_group(tiles, group, {panel, b, std::min(blocks, b + slice), 0, g == run ? ahead : 0},
                    y.sub(g * Int8Rows::kGroup, group.rows), last);
        }
      }
    }
  }
}

void matmul(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first, std::size_t last) {
  for_type(w.type, [&]<WeightType kType>() { matmul_of<kType>(w, x, y, first, last); });
}
