// Channel f32: rows kept exactly. A diagnostic baseline, for comparing a model with other implementations
// without the rounding of bf16.
#include <cmath>
#include <cstring>

#include "kv/codecs.h"

namespace kakeya::kv {
namespace {

class F32Codec final : public RowCodec {
 public:
  explicit F32Codec(std::size_t dim) : dim_(dim) {}

  std::size_t dim() const override { return dim_; }
  std::size_t row_bytes() const override { return 4 * dim_; }
  double formula_bits() const override { return 32.0 * static_cast<double>(dim_); }
  bool rotated() const override { return false; }

  Status encode(const kernels::Table&, std::span<const float> x, std::byte* row, SideRows&) const override {
    for (std::size_t i = 0; i < dim_; ++i) {
      if (!std::isfinite(x[i])) return non_finite_row(i);
    }
    std::memcpy(row, x.data(), row_bytes());
    return {};
  }

  void unpack(const kernels::Table&, const std::byte* rows, std::size_t n, std::span<const std::byte>,
              Rows<float> tile, float* scales) const override {
    for (std::size_t r = 0; r < n; ++r) {
      std::memcpy(tile.row(r).data(), rows + r * row_bytes(), row_bytes());
      scales[r] = 1.0f;
    }
  }

  void decode(const kernels::Table&, const std::byte* row, std::span<const std::byte>,
              std::span<float> out) const override {
    std::memcpy(out.data(), row, row_bytes());
  }

 private:
  std::size_t dim_;
};

}  // namespace

ChannelFamily f32_family() {
  return {.pattern = "f32",
          .lattice = "",
          .help = "exact rows, 32 bits a value: a diagnostic baseline",
          .examples = {"f32"},
          .matches = [](std::string_view name, int* q) { return *q = 0, name == "f32"; },
          .make = [](std::string_view, int, std::size_t head_dim) -> Result<std::unique_ptr<RowCodec>> {
            return std::unique_ptr<RowCodec>(std::make_unique<F32Codec>(head_dim));
          }};
}

}  // namespace kakeya::kv
