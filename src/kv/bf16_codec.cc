// Channel bf16: the baseline, rows rounded to bfloat16.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "kernels/code_products.h"
#include "kv/codecs.h"
#include "kv/page_list.h"

namespace kakeya::kv {
namespace {

constexpr std::size_t kFastDims = 64;  // fast attention takes multiples of this
constexpr std::uint32_t kInfinity = 0x7f800000u;

// Bits of a finite float -> bfloat16, to nearest even. What rounds to infinity becomes the largest finite
// number instead, whose bits are one less.
std::uint16_t round_finite(std::uint32_t bits) {
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<std::uint16_t>(rounded - static_cast<std::uint32_t>((rounded & 0x7fffu) == 0x7f80u));
}

class Bf16Codec final : public RowCodec {
 public:
  explicit Bf16Codec(std::size_t dim) : dim_(dim) {
    for (const kernels::Table* table : kernels::available()) {
      const kernels::Bf16Products* found = kernels::find_bf16_products(table->name);
      if (found != nullptr && dim % kFastDims == 0) fast_.push_back({table, found});
    }
  }

  std::size_t dim() const override { return dim_; }
  std::size_t row_bytes() const override { return 2 * dim_; }
  double formula_bits() const override { return 16.0 * static_cast<double>(dim_); }
  bool rotated() const override { return false; }

  Status encode(const kernels::Table&, std::span<const float> x, std::byte* row, SideRows&) const override {
    // In steps of a fixed size, so that the compiler takes several values at a time.
    constexpr std::size_t kStep = 16;
    std::uint32_t largest[kStep] = {};
    std::size_t i = 0;
    for (; i + kStep <= dim_; i += kStep) {
      std::uint16_t out[kStep];
      for (std::size_t l = 0; l < kStep; ++l) {
        const auto bits = std::bit_cast<std::uint32_t>(x[i + l]);
        largest[l] = std::max(largest[l], bits & 0x7fffffffu);
        out[l] = round_finite(bits);
      }
      std::memcpy(row + 2 * i, out, sizeof out);
    }
    for (; i < dim_; ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(x[i]);
      largest[0] = std::max(largest[0], bits & 0x7fffffffu);
      const std::uint16_t out = round_finite(bits);
      std::memcpy(row + 2 * i, &out, sizeof out);
    }
    if (*std::max_element(largest, largest + kStep) < kInfinity) return {};
    const auto* bad = std::find_if_not(x.data(), x.data() + dim_, [](float v) { return std::isfinite(v); });
    return non_finite_row(static_cast<std::size_t>(bad - x.data()));
  }

  void unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n, std::span<const std::byte>,
              Rows<float> tile, float* scales) const override {
    const kernels::Weight packed = {rows, kernels::WeightType::kBf16, n, dim_};
    for (std::size_t r = 0; r < n; ++r) {
      ops.load_row(packed, r, tile.row(r).data());
      scales[r] = 1.0f;
    }
  }

  const kernels::CodeProducts* code_products(const kernels::Table& ops) const override {
    const kernels::Bf16Products* found = products(ops);
    return found != nullptr ? &found->products : nullptr;
  }

  void unpack_codes(const kernels::Table& ops, CodeLayout layout, const std::byte* rows, std::size_t n,
                    const std::byte*, std::span<const std::byte>, base::LineRequests& wanted,
                    std::int8_t* out, float* scales) const override {
    const kernels::Bf16Products* found = products(ops);
    KAKEYA_CHECK(found != nullptr);
    KAKEYA_CHECK(layout != CodeLayout::kKeyRows);
    (layout == CodeLayout::kValues ? found->values : found->keys)({rows, n, dim_, &wanted}, out);
    std::fill_n(scales, kPageTokens, 1.0f);
  }

  void decode(const kernels::Table&, const std::byte* row, std::span<const std::byte>,
              std::span<float> out) const override {
    for (std::size_t i = 0; i < dim_; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, row + 2 * i, sizeof bits);
      out[i] = base::bf16_to_f32(bits);
    }
  }

 private:
  struct Variant {
    const kernels::Table* table;
    const kernels::Bf16Products* products;
  };
  const kernels::Bf16Products* products(const kernels::Table& ops) const {
    for (const Variant& variant : fast_) {
      if (variant.table == &ops) return variant.products;
    }
    return nullptr;
  }

  std::size_t dim_;
  std::vector<Variant> fast_;
};

}  // namespace

ChannelFamily bf16_family() {
  return {.pattern = "bf16",
          .lattice = "",
          .help = "the baseline, 16 bits a value",
          .examples = {"bf16"},
          .matches = [](std::string_view name, int* q) { return *q = 0, name == "bf16"; },
          .make = [](std::string_view, int, std::size_t head_dim) -> Result<std::unique_ptr<RowCodec>> {
            return std::unique_ptr<RowCodec>(std::make_unique<Bf16Codec>(head_dim));
          }};
}

}  // namespace kakeya::kv
