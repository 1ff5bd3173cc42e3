// Channels q8_0 and q4_0: Hadamard-rotated rows in blocks of 32 values with one fp16 scale each, rounded by
// the formulas of the ggml types of the same names. Layout: docs/formats/kv-pages.md.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/half.h"
#include "kv/codecs.h"

namespace kakeya::kv {
namespace {

constexpr std::size_t kBlock = 32;
constexpr std::size_t kMaxDim = 1024;
constexpr std::uint16_t kLargestF16 = 0x7bff;
// Rows with a larger value are scaled by kShrink before the rotation, whose sums would overflow otherwise.
constexpr float kHuge = 0x1p60f;
constexpr float kShrink = 0x1p-64f;

constexpr float kNibbleLevels[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

void store_scale(float scale, std::byte* at) {
  std::uint16_t bits = base::f32_to_f16(scale);
  if ((bits & 0x7fffu) > kLargestF16) bits = static_cast<std::uint16_t>((bits & 0x8000u) | kLargestF16);
  std::memcpy(at, &bits, sizeof bits);
}

float load_scale(const std::byte* at) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return base::f16_to_f32(bits);
}

// 1 / scale; 0 for scales so small that it would overflow: as fp16 they are 0 in any case
float inverse_of(float scale) {
  return std::abs(scale) >= std::numeric_limits<float>::min() ? 1.0f / scale : 0.0f;
}

// scale = max|y| / 127, code = round(y / scale), halves away from zero
float encode_block8(const float* y, std::byte* codes) {
  float largest = 0;
  for (std::size_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(y[i]));
  const float scale = largest / 127.0f;
  const float inverse = inverse_of(scale);
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float value = std::clamp(y[i] * inverse, -127.0f, 127.0f);
    const int whole = static_cast<int>(value);
    const float rest = value - static_cast<float>(whole);  // exact, so halves are seen as halves
    codes[i] = static_cast<std::byte>(whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0));
  }
  return scale;
}

// scale = m / -8 where m is the value of largest magnitude, code = min(15, floor(y / scale + 8.5))
float encode_block4(const float* y, std::byte* codes) {
  float extreme = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    if (std::abs(y[i]) > std::abs(extreme)) extreme = y[i];
  }
  const float scale = extreme / -8.0f;
  const float inverse = inverse_of(scale);
  const auto code = [&](std::size_t i) {
    return static_cast<unsigned>(std::clamp(static_cast<int>(y[i] * inverse + 8.5f), 0, 15));
  };
  for (std::size_t i = 0; i < kBlock; i += 2) {
    codes[i / 2] = static_cast<std::byte>(code(i) | code(i + 1) << 4);
  }
  return scale;
}

class BlockCodec final : public RowCodec {
 public:
  BlockCodec(std::size_t dim, int bits) : dim_(dim), bits_(bits) {}

  std::size_t dim() const override { return dim_; }
  std::size_t row_bytes() const override { return scales_bytes() + blocks() * code_bytes(); }
  double formula_bits() const override { return static_cast<double>(8 * row_bytes()); }
  bool rotated() const override { return true; }

  Status encode(const kernels::Table& ops, std::span<const float> x, std::byte* row,
                SideRows&) const override {
    KAKEYA_CHECK(x.size() == dim_);
    alignas(64) float y[kMaxDim];
    float largest = 0;
    for (std::size_t i = 0; i < dim_; ++i) {
      if (!std::isfinite(x[i])) return non_finite_row(i);
      largest = std::max(largest, std::abs(x[i]));
    }
    const bool huge = largest > kHuge;
    for (std::size_t i = 0; i < dim_; ++i) y[i] = huge ? x[i] * kShrink : x[i];
    ops.hadamard(y, dim_);
    for (std::size_t b = 0; b < blocks(); ++b) {
      std::byte* codes = row + scales_bytes() + b * code_bytes();
      const float* block = y + b * kBlock;
      const float scale = bits_ == 8 ? encode_block8(block, codes) : encode_block4(block, codes);
      store_scale(huge ? scale / kShrink : scale, row + 2 * b);
    }
    return {};
  }

  void unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n, std::span<const std::byte>,
              Rows<float> tile, float* scales) const override {
    for (std::size_t r = 0; r < n; ++r) {
      unpack_row(ops, rows + r * row_bytes(), tile.row(r).data());
      scales[r] = 1.0f;
    }
  }

  void decode(const kernels::Table& ops, const std::byte* row, std::span<const std::byte>,
              std::span<float> out) const override {
    unpack_row(ops, row, out.data());
    ops.hadamard(out.data(), dim_);
  }

 private:
  std::size_t blocks() const { return dim_ / kBlock; }
  std::size_t scales_bytes() const { return 2 * blocks(); }
  std::size_t code_bytes() const { return kBlock * static_cast<std::size_t>(bits_) / 8; }

  void unpack_row(const kernels::Table& ops, const std::byte* row, float* out) const {
    for (std::size_t b = 0; b < blocks(); ++b) {
      const std::byte* codes = row + scales_bytes() + b * code_bytes();
      const float scale = load_scale(row + 2 * b);
      float* block = out + b * kBlock;
      if (bits_ == 8) {
        ops.unpack_i8(reinterpret_cast<const std::int8_t*>(codes), scale, block, kBlock);
      } else {
        ops.unpack_levels(reinterpret_cast<const std::uint8_t*>(codes), 4, kNibbleLevels, scale, block,
                          kBlock);
      }
    }
  }

  std::size_t dim_;
  int bits_;
};

template <int kBits>
ChannelFamily block_family(const char* name, const char* help) {
  return {.pattern = name,
          .lattice = "",
          .help = help,
          .examples = {name},
          .matches = [](std::string_view given,
                        int* q) { return *q = 0, given == (kBits == 8 ? "q8_0" : "q4_0"); },
          .make = [](std::string_view given, int, std::size_t dim) -> Result<std::unique_ptr<RowCodec>> {
            if (dim < kBlock || dim > kMaxDim || (dim & (dim - 1)) != 0) {
              return unsupported("KV channel " + std::string(given) + ": head_dim is " + std::to_string(dim) +
                                 ", expected a power of two from 32 to 1024");
            }
            return std::unique_ptr<RowCodec>(std::make_unique<BlockCodec>(dim, kBits));
          }};
}

}  // namespace

ChannelFamily q8_0_family() {
  return block_family<8>("q8_0", "8-bit blocks of 32 on rotated rows, 8.5 bits a value");
}
ChannelFamily q4_0_family() {
  return block_family<4>("q4_0", "4-bit blocks of 32 on rotated rows, 4.5 bits a value");
}

}  // namespace kakeya::kv
