// Panels of matrices that MLX quantised hold the values that MLX gives (tools/golden/make_affine_golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "formats/affine.h"
#include "kernels/panels.h"

namespace kakeya::model {
namespace {

kernels::WeightType weight_type(formats::Dtype dtype) {
  return dtype == formats::Dtype::kF32   ? kernels::WeightType::kF32
         : dtype == formats::Dtype::kF16 ? kernels::WeightType::kF16
                                         : kernels::WeightType::kBf16;
}

struct alignas(64) Line {
  std::byte bytes[64];
};

TEST(AffinePanels, HoldTheValuesOfMlx) {
  const std::string golden = std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/affine";
  const auto store = formats::TensorStore::open(golden);
  const auto config = formats::load_model_config(golden);
  ASSERT_TRUE(store.ok() && config.ok());
  base::ThreadPool pool(2);
  for (const auto& [module, settings] : config->affine_of) {
    SCOPED_TRACE(module);
    const auto& shape = store->find(module + ".expected")->shape;
    const std::size_t out = shape[0], in = shape[1];
    const auto found = formats::find_affine(*store, *config, module, out, in);
    ASSERT_TRUE(found.ok() && found->has_value());
    const formats::AffineView& view = **found;
    kernels::QuantisedRows rows;
    rows.type = view.bits == 4 ? kernels::WeightType::kAffine4 : kernels::WeightType::kAffine8;
    rows.out = out;
    rows.in = in;
    rows.data = view.codes->bytes.data();
    rows.scales = view.scales->bytes.data();
    rows.biases = view.biases->bytes.data();
    rows.scale_type = weight_type(view.scales->dtype);
    rows.group = view.group;
    ASSERT_TRUE(kernels::has_panels(rows.type, in, view.group));
    const std::size_t bytes = kernels::panel_bytes(rows.type, out, in, view.group, rows.scale_type);
    std::vector<Line> memory(bytes / sizeof(Line));
    const kernels::Weight weight = kernels::pack_panels(pool, rows, {}, {memory.front().bytes, bytes});
    std::vector<float> got(in), expected(out * in);
    std::memcpy(expected.data(), store->find(module + ".expected")->bytes.data(), out * in * sizeof(float));
    for (std::size_t o = 0; o < out; ++o) {
      kernels::best().load_row(weight, o, got.data());
      float largest = 0;
      for (std::size_t i = 0; i < in; ++i) largest = std::max(largest, std::abs(expected[o * in + i]));
      for (std::size_t i = 0; i < in; ++i) {
        ASSERT_NEAR(got[i], expected[o * in + i], largest * 1e-6f) << "row " << o << ", column " << i;
      }
    }
  }
}

}  // namespace
}  // namespace kakeya::model
