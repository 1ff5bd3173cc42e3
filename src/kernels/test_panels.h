// What tests of panels share: files of every quantised type with random codes, their panels, rounded
// activations, and a fixture per CPU variant.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/thread_pool.h"
#include "kernels/blocks.h"
#include "kernels/panels.h"

namespace kakeya::kernels {

struct Kind {
  WeightType type;
  std::size_t group = 0;
  WeightType scale_type = WeightType::kBf16;
};
const Kind kKinds[] = {
    {WeightType::kQ4_0},
    {WeightType::kQ8_0},
    {WeightType::kQ4K},
    {WeightType::kQ5K},
    {WeightType::kQ6K},
    {WeightType::kAffine4, 32},
    {WeightType::kAffine4, 64},
    {WeightType::kAffine4, 128, WeightType::kF16},
    {WeightType::kAffine4, 64, WeightType::kF32},
    {WeightType::kAffine8, 32, WeightType::kF16},
    {WeightType::kAffine8, 64},
    {WeightType::kAffine8, 128, WeightType::kF32},
};
inline std::string name_of(const Kind& kind) {
  return std::string(to_string(kind.type)) +
         (kind.group == 0 ? "" : "g" + std::to_string(kind.group) + to_string(kind.scale_type));
}
inline bool is_affine(const Kind& kind) { return kind.group != 0; }
inline std::size_t unit(const Kind& kind) { return is_affine(kind) ? kind.group : block_values(kind.type); }

inline std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

// 64-byte aligned bytes.
class Aligned {
 public:
  explicit Aligned(std::size_t n) : buffer_(n + 64), size_(n) {}
  std::span<std::byte> span() {
    const auto address = reinterpret_cast<std::uintptr_t>(buffer_.data());
    return {buffer_.data() + (64 - address % 64) % 64, size_};
  }

 private:
  std::vector<std::byte> buffer_;
  std::size_t size_;
};

// Random codes of every value; scales small, of both signs.
struct File {
  File(const Kind& k, std::size_t out, std::size_t in, unsigned seed) : kind(k) {
    std::mt19937 random(seed);
    const std::size_t values = is_affine(k) ? 2 : block_values(k.type);
    const std::size_t bytes = !is_affine(k) ? block_bytes(k.type) : k.type == WeightType::kAffine4 ? 1 : 2;
    codes.resize(out * in / values * bytes);
    for (std::uint8_t& b : codes) b = static_cast<std::uint8_t>(random());
    const auto half_scale = [&] {
      const float value =
          (0.001f + 0.01f * static_cast<float>(random() % 1000) / 1000) * (random() % 4 == 0 ? -1.0f : 1.0f);
      return base::f32_to_f16(value);
    };
    const auto put_half = [&](std::size_t at) {
      const std::uint16_t half = half_scale();
      std::memcpy(codes.data() + at, &half, 2);
    };
    for (std::size_t at = 0; !is_affine(k) && at < codes.size(); at += bytes) {
      put_half(k.type == WeightType::kQ6K ? at + offsetof(BlockQ6K, d) : at);
      if (k.type == WeightType::kQ4K || k.type == WeightType::kQ5K) put_half(at + 2);
    }
    const std::size_t size = k.scale_type == WeightType::kF32 ? 4 : 2;
    for (std::vector<std::uint8_t>* list : {&scales, &biases}) {
      if (!is_affine(k)) break;
      list->resize(out * in / k.group * size);
      for (std::size_t i = 0; i < list->size() / size; ++i) {
        const float value = base::f16_to_f32(half_scale());
        const std::uint16_t bits =
            k.scale_type == WeightType::kF16 ? base::f32_to_f16(value) : base::f32_to_bf16(value);
        if (size == 4) std::memcpy(list->data() + 4 * i, &value, 4);
        if (size == 2) std::memcpy(list->data() + 2 * i, &bits, 2);
      }
    }
    rows = {k.type, out, in, codes.data(), scales.data(), biases.data(), k.scale_type, k.group};
  }

  float scale_at(const std::vector<std::uint8_t>& list, std::size_t i) const {
    float value = 0;
    std::uint16_t bits = 0;
    if (kind.scale_type == WeightType::kF32) {
      std::memcpy(&value, list.data() + 4 * i, 4);
      return value;
    }
    std::memcpy(&bits, list.data() + 2 * i, 2);
    return kind.scale_type == WeightType::kF16 ? base::f16_to_f32(bits) : base::bf16_to_f32(bits);
  }

  std::vector<float> row(std::size_t index) const {
    std::vector<float> out(rows.in);
    if (!is_affine(kind)) {
      dequantise_row(kind.type, codes.data() + index * row_bytes(kind.type, rows.in), rows.in, out.data());
      return out;
    }
    for (std::size_t i = 0; i < rows.in; ++i) {
      const std::size_t at = index * rows.in + i, group = index * (rows.in / kind.group) + i / kind.group;
      const int code = kind.type == WeightType::kAffine8 ? codes[at] : codes[at / 2] >> (at % 2 * 4) & 15;
      out[i] = scale_at(scales, group) * static_cast<float>(code) + scale_at(biases, group);
    }
    return out;
  }

  Kind kind;
  std::vector<std::uint8_t> codes, scales, biases;
  QuantisedRows rows;
};

struct Packed {
  explicit Packed(const File& file, std::span<const std::uint32_t> source_row = {})
      : bytes(
            panel_bytes(file.kind.type, file.rows.out, file.rows.in, file.kind.group, file.kind.scale_type)) {
    base::ThreadPool pool(2);
    weight = pack_panels(pool, file.rows, source_row, bytes.span());
  }
  Aligned bytes;
  Weight weight;
};

// Activations rounded by a variant, with their values read back.
struct Rounded {
  Rounded(const Table& ops, const std::vector<float>& x, std::size_t rows, std::size_t cols)
      : buffer(int8_rows_bytes(rows, cols)), view(int8_rows_in(buffer.span(), rows, cols)) {
    ops.quantise_rows({x.data(), rows, cols}, view, 0, 0);
  }
  double value(std::size_t r, std::size_t i) const {
    const Int8Rows group = view.group(r / 16);
    const std::size_t at = i / 32 * group.rows + r % 16;
    return double{group.scales[at]} * group.codes[at * 32 + i % 32];
  }
  Aligned buffer;
  Int8Rows view;
};

inline bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class PanelVariant : public testing::TestWithParam<const Table*> {
 protected:
  const Table& ops() const { return *GetParam(); }
};

}  // namespace kakeya::kernels
