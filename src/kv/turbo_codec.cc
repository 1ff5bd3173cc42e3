// Channels tq4 and tq3 (TurboQuant for mean squared error): the row's norm in fp16, and each coordinate of
// the Hadamard-rotated unit row as the nearest of fixed Lloyd-Max levels. Layout: docs/formats/kv-pages.md.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "kv/codecs.h"
#include "kv/turbo_levels.h"

namespace kakeya::kv {
namespace {

constexpr std::size_t kMaxDim = 512;
constexpr std::size_t kNormBytes = 2;
constexpr std::uint16_t kLargestF16 = 0x7bff;

class TurboCodec final : public RowCodec {
 public:
  TurboCodec(const TurboLevels& table, int bits) : dim_(table.dim), bits_(bits) {
    const float* positive = bits == 3 ? table.levels3 : table.levels4;
    const std::size_t half = std::size_t{1} << (bits - 1);
    for (std::size_t i = half; i > 0; --i) levels_.push_back(-positive[i - 1]);
    for (std::size_t i = 0; i < half; ++i) levels_.push_back(positive[i]);
    for (std::size_t i = 1; i < levels_.size(); ++i) edges_.push_back((levels_[i - 1] + levels_[i]) / 2);
  }

  std::size_t dim() const override { return dim_; }
  std::size_t row_bytes() const override { return kNormBytes + dim_ * static_cast<std::size_t>(bits_) / 8; }
  double formula_bits() const override { return static_cast<double>(8 * row_bytes()); }
  bool rotated() const override { return true; }

  Status encode(const kernels::Table& ops, std::span<const float> x, std::byte* row,
                SideRows&) const override {
    KAKEYA_CHECK(x.size() == dim_);
    double squares = 0;  // double: the square of a large float is no float
    for (std::size_t i = 0; i < dim_; ++i) {
      if (!std::isfinite(x[i])) return non_finite_row(i);
      squares += double{x[i]} * x[i];
    }
    const double norm = std::sqrt(squares);
    const std::uint16_t bits = std::min(base::f32_to_f16(static_cast<float>(norm)), kLargestF16);
    std::memcpy(row, &bits, sizeof bits);
    alignas(64) float y[kMaxDim];
    const double inverse = norm > 0 ? 1.0 / norm : 0.0;
    for (std::size_t i = 0; i < dim_; ++i) y[i] = static_cast<float>(x[i] * inverse);
    ops.hadamard(y, dim_);
    pack(y, row + kNormBytes);
    return {};
  }

  void unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n, std::span<const std::byte>,
              Rows<float> tile, float* scales) const override {
    for (std::size_t r = 0; r < n; ++r) {
      const std::byte* row = rows + r * row_bytes();
      scales[r] = load_norm(row);
      unpack_levels(ops, row, tile.row(r).data());
    }
  }

  void decode(const kernels::Table& ops, const std::byte* row, std::span<const std::byte>,
              std::span<float> out) const override {
    unpack_levels(ops, row, out.data());
    ops.hadamard(out.data(), dim_);
    const float norm = load_norm(row);
    for (float& value : out) value *= norm;
  }

 private:
  static float load_norm(const std::byte* row) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, row, sizeof bits);
    return base::f16_to_f32(bits);
  }

  void unpack_levels(const kernels::Table& ops, const std::byte* row, float* out) const {
    const auto* codes = reinterpret_cast<const std::uint8_t*>(row + kNormBytes);
    ops.unpack_levels(codes, bits_, levels_.data(), 1.0f, out, dim_);
  }

  // Code = number of edges below the value; eight codes fill bits_ bytes, low bits first.
  void pack(const float* y, std::byte* out) const {
    for (std::size_t i = 0; i < dim_; i += 8) {
      std::uint32_t codes[8] = {};
      for (const float edge : edges_) {
        for (std::size_t l = 0; l < 8; ++l) codes[l] += y[i + l] > edge ? 1u : 0u;
      }
      std::uint32_t word = 0;
      for (std::size_t l = 8; l-- > 0;) word = word << bits_ | codes[l];
      for (int b = 0; b < bits_; ++b) *out++ = static_cast<std::byte>(word >> (8 * b) & 0xffu);
    }
  }

  std::size_t dim_;
  int bits_;
  std::vector<float> levels_;  // ascending
  std::vector<float> edges_;   // half-way between neighbours
};

template <int kBits>
ChannelFamily turbo_family(const char* name, const char* help) {
  return {
      .pattern = name,
      .lattice = "",
      .help = help,
      .examples = {name},
      .matches = [](std::string_view given, int* q) { return *q = 0, given == (kBits == 4 ? "tq4" : "tq3"); },
      .make = [](std::string_view given, int, std::size_t dim) -> Result<std::unique_ptr<RowCodec>> {
        for (const TurboLevels& table : kTurboLevels) {
          if (table.dim == dim) return std::unique_ptr<RowCodec>(std::make_unique<TurboCodec>(table, kBits));
        }
        return unsupported("KV channel " + std::string(given) + ": head_dim is " + std::to_string(dim) +
                           ", expected 64, 128, 256 or 512");
      }};
}

}  // namespace

ChannelFamily tq4_family() {
  return turbo_family<4>(
      "tq4", "TurboQuant levels on rotated unit rows, 4 bits a value and a norm; head_dim 64 to 512");
}
ChannelFamily tq3_family() {
  return turbo_family<3>(
      "tq3", "TurboQuant levels on rotated unit rows, 3 bits a value and a norm; head_dim 64 to 512");
}

}  // namespace kakeya::kv
