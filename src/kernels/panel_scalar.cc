// Products of panels in plain C++: the oracle of the other variants, and what runs where no int8 dot product
// is known.
#include <cmath>

#include "kernels/panel_layout.h"
#include "kernels/panel_ops.h"

namespace kakeya::kernels {
namespace {

void quantise_block(const float* x, const Int8Rows& group, std::size_t block, std::size_t row) {
  float largest = 0;
  bool finite = true;
  for (std::size_t i = 0; i < kActivationBlock; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::fmax(largest, std::fabs(x[i]));
  }
  const bool zero = !finite || largest < kTiniestActivation;
  const float inverse = zero ? 0.0f : 127.0f / largest;
  const std::size_t at = block * group.rows + row;
  std::int8_t* codes = group.codes + at * kActivationBlock;
  std::int32_t first = 0, second = 0;
  for (std::size_t i = 0; i < kActivationBlock; ++i) {
    codes[i] = zero ? std::int8_t{0} : static_cast<std::int8_t>(std::lrint(x[i] * inverse));
    (i < 16 ? first : second) += codes[i];
  }
  // A block that is no number makes everything it touches none.
  group.scales[at] = !finite ? std::nanf("") : zero ? 0.0f : largest / 127.0f;
  group.negative_sums[2 * at] = -(first + second);
  group.negative_sums[2 * at + 1] = -first;
  group.scaled_sums[at] = group.scales[at] * static_cast<float>(first + second);
}

// acc plus one block: exact integers, then at most three roundings in this order.
float add_block(const Weight& w, int zero, const OutputBlock& block, const Int8Rows& group, std::size_t at,
                float acc) {
  const std::int8_t* codes = group.codes + at * kActivationBlock;
  std::int32_t half[2] = {};
  for (std::size_t i = 0; i < kActivationBlock; ++i) half[i / 16] += codes[i] * (block.codes[i] - zero);
  const float scale = group.scales[at];
  if (w.type == WeightType::kQ6K) {
    acc = std::fma(static_cast<float>(half[0]), block.scale[0] * scale, acc);
    return std::fma(static_cast<float>(half[1]), block.scale[1] * scale, acc);
  }
  acc = std::fma(static_cast<float>(half[0] + half[1]), block.scale[0] * scale, acc);
  if (zero != 0) return acc;
  return std::fma(block.min, group.scaled_sums[at], acc);
}

}  // namespace

void quantise_rows_scalar(Rows<const float> x, const Int8Rows& out, std::size_t row, std::size_t column) {
  for (std::size_t r = 0; r < x.rows; ++r) {
    const Int8Rows group = out.group((row + r) / Int8Rows::kGroup);
    for (std::size_t b = 0; b < x.cols / kActivationBlock; ++b) {
      quantise_block(x.data + r * x.stride + b * kActivationBlock, group, column / kActivationBlock + b,
                     (row + r) % Int8Rows::kGroup);
    }
  }
}

void panel_matmul_scalar(const Weight& w, const Int8Rows& x, Rows<float> y, std::size_t first,
                         std::size_t last) {
  const PanelLayout layout = panel_layout(w);
  const std::size_t bytes = panel_tiles(layout, w.in) * layout.tile_bytes();
  for (std::size_t o = first; o < last; ++o) {
    const auto* panel = static_cast<const std::uint8_t*>(w.data) + o / kPanelOutputs * bytes;
    for (std::size_t r = 0; r < x.rows; ++r) y.data[r * y.stride + o] = 0;
    OutputBlock block;
    for (std::size_t b = 0; b < w.in / kActivationBlock; ++b) {
      read_output_block(w, layout, panel + b / layout.tile_blocks * layout.tile_bytes(),
                        b % layout.tile_blocks, o % kPanelOutputs, block);
      for (std::size_t r = 0; r < x.rows; ++r) {
        const Int8Rows group = x.group(r / Int8Rows::kGroup);
        float& out = y.data[r * y.stride + o];
        out = add_block(w, layout.zero, block, group, b * group.rows + r % Int8Rows::kGroup, out);
      }
    }
  }
}

}  // namespace kakeya::kernels
