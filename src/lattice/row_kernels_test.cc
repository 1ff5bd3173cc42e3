// The stages of the codec against golden files, in every CPU variant, and every variant against scalar.
#include "lattice/row_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "base/half.h"
#include "kernels/kernels.h"
#include "lattice/golden_files.h"

namespace kakeya::lattice {
namespace {

std::vector<const RowKernels*> variants() {
  std::vector<const RowKernels*> out;
  for (const kernels::Table* table : kernels::available()) {
    if (const RowKernels* found = find_row_kernels(table->base)) out.push_back(found);
  }
  return out;
}

// Row order to the order of RowKernels::rotate, and back with from_row = false.
std::vector<float> reorder(std::span<const float> in, bool from_row) {
  std::vector<float> out(in.size());
  const std::size_t groups = in.size() / kGroup;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::size_t j = i % kGroup * groups + i / kGroup;
    (from_row ? out[j] : out[i]) = from_row ? in[i] : in[j];
  }
  return out;
}

RowFormat format_of(Kind kind, int q, std::size_t dim) {
  auto format = RowFormat::create(kind, q, dim);
  EXPECT_TRUE(format.ok());
  return *format;
}

// What a reader gets for rotated row y: packed as it is, negated, or (`wide`) not packed at all.
struct Stored {
  std::vector<float> clamped;
  bool negated = false, wide = false;
};
Stored store(const RowKernels& kernels, const RowFormat& format, const float* y, float step) {
  Stored out;
  out.clamped.resize(format.dim);
  std::vector<std::uint8_t> codes(format.code_bytes, 0xa5);
  if (!kernels.quantize(format, y, step, codes.data())) {
    std::vector<std::int16_t> points(format.dim);
    row_points(format, y, step, points.data());
    EXPECT_FALSE(pack_points(format, points.data(), codes.data()));
    std::vector<std::int16_t> opposite(points);
    for (std::int16_t& p : opposite) p = static_cast<std::int16_t>(-p);
    out.negated = pack_points(format, opposite.data(), codes.data());
    out.wide = !out.negated;
    if (out.wide) clamp_points(format, points, out.clamped.data());
    if (out.wide) return out;
  }
  const std::uint32_t negate = out.negated ? 0x80000000u : 0u;
  kernels.unpack(format, codes.data(), codes.size(), codes.data() + codes.size(), {&negate, 1},
                 {out.clamped.data(), 1, format.dim});
  return out;
}

// T2 and T6: golden y and headers to codes, through packed bytes.
TEST(RowKernels, GoldenRowsComeBackAsTheReferencesCodes) {
  for (const RowKernels* kernels : variants()) {
    std::size_t negated = 0;
    std::size_t wide = 0;
    for (const GoldenCodes& golden : golden_codes()) {
      const RowFormat format = format_of(golden.kind, golden.q, golden.dim);
      const auto y = golden_values<float>(golden.path("y", ".f32"));
      const auto header = golden_values<std::uint16_t>(golden.path("hdr", ".u16"));
      const auto want = golden_values<std::int16_t>(golden.folder + "/" + golden.file);
      ASSERT_EQ(want.size(), y.size());
      for (std::size_t r = 0; r < y.size() / golden.dim; ++r) {
        const auto rotated = reorder({y.data() + r * golden.dim, golden.dim}, true);
        const float step = base::f16_to_f32(header[2 * r + 1]) / static_cast<float>(golden.q);
        const Stored got = store(*kernels, format, rotated.data(), step);
        negated += got.negated;
        wide += got.wide;
        for (std::size_t i = 0; i < golden.dim; ++i) {
          ASSERT_EQ(2 * got.clamped[i], want[r * golden.dim + i])
              << kernels->name << " " << golden.file << " row " << r << " value " << i;
        }
      }
    }
    // The golden rows were chosen to hold both rare forms.
    EXPECT_GT(negated, 0u) << kernels->name;
    EXPECT_GT(wide, 0u) << kernels->name;
  }
}

// T3: x to norm, peak and y.
TEST(RowKernels, RotationAgreesWithTheReference) {
  for (const RowKernels* kernels : variants()) {
    std::size_t peak_differs = 0;
    for (std::size_t dim : {64, 128, 256}) {
      const std::string suffix = "_d" + std::to_string(dim);
      const auto x = golden_values<float>("lattice/x" + suffix + ".f32");
      const auto y = golden_values<float>("lattice/y" + suffix + ".f32");
      const auto header = golden_values<std::uint16_t>("lattice/hdr" + suffix + ".u16");
      for (std::size_t r = 0; r < x.size() / dim; ++r) {
        std::vector<float> got(dim);
        const float norm = kernels->norm(x.data() + r * dim, dim);
        ASSERT_EQ(base::f32_to_f16(norm), header[2 * r]) << suffix << " row " << r;
        const float peak = kernels->rotate(x.data() + r * dim, dim, norm, got.data());
        peak_differs += base::f32_to_f16(peak) != header[2 * r + 1];
        got = reorder(got, false);
        for (std::size_t i = 0; i < dim; ++i)
          ASSERT_NEAR(got[i], y[r * dim + i], 2e-6) << suffix << " row " << r;
      }
    }
    EXPECT_LE(peak_differs, 3u) << kernels->name << ": more than rare rounding ties of 768 rows";
  }
}

// Rows that exercise signs, magnitudes, ties and the fp32 edges.
std::vector<std::vector<float>> sample_rows(std::size_t dim, std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(dim));
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> rows;
  for (std::size_t r = 0; r < count; ++r) {
    std::vector<float> row(dim);
    const float scale = std::pow(10.0f, static_cast<float>(static_cast<int>(random() % 40) - 20));
    for (float& v : row) v = normal(random) * (r % 3 == 0 ? 1.0f : scale);
    if (r % 7 == 1) row[random() % dim] *= 1000.0f;
    if (r % 7 == 2) std::fill(row.begin(), row.end(), r % 2 == 0 ? scale : -0.0f);
    if (r % 7 == 3) {
      for (float& v : row) v = std::nearbyint(v);
    }
    if (r % 7 == 4) {
      for (float& v : row) v *= std::pow(2.0f, static_cast<float>(static_cast<int>(random() % 120) - 60));
    }
    rows.push_back(row);
  }
  return rows;
}

TEST(RowKernels, EveryVariantGivesTheScalarBits) {
  const RowKernels& scalar = scalar_row_kernels();
  for (std::size_t dim : {64, 128, 256, 512}) {
    const auto rows = sample_rows(dim, 300);
    for (const RowKernels* kernels : variants()) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        std::vector<float> y(dim);
        std::vector<float> expected(dim);
        const float norm = scalar.norm(rows[r].data(), dim);
        ASSERT_EQ(kernels->norm(rows[r].data(), dim), norm)
            << kernels->name << " dim " << dim << " row " << r;
        if (std::isinf(norm)) continue;
        const float want = scalar.rotate(rows[r].data(), dim, norm, expected.data());
        const float got = kernels->rotate(rows[r].data(), dim, norm, y.data());
        ASSERT_EQ(got, want) << kernels->name << " dim " << dim << " row " << r;
        ASSERT_EQ(y, expected) << kernels->name << " dim " << dim << " row " << r;
      }
    }
  }
}

// Values on a coarse grid: errors of equal size and both signs, points as far as those of the other coset.
// A finer grid beside it: near ties.
TEST(RowKernels, EveryVariantQuantizesTiesAsScalar) {
  constexpr std::size_t kDim = 128;
  std::mt19937 random(7);
  for (Kind kind : {Kind::kD4, Kind::kE8}) {
    for (int q : {4, 38, 255}) {
      const RowFormat format = format_of(kind, q, kDim);
      for (int r = 0; r < 600; ++r) {
        const int grid = r % 3 == 0 ? 4 : r % 3 == 1 ? 32 : 1 << 15;
        const float step = r % 2 == 0 ? 0.0078125f : 0.00391f;
        std::vector<float> y(kDim);
        std::uniform_int_distribution<int> pick(-q * grid, q * grid);
        for (float& v : y) v = static_cast<float>(pick(random)) / static_cast<float>(grid) * step;
        std::vector<std::uint8_t> want(format.code_bytes);
        const bool fits = scalar_row_kernels().quantize(format, y.data(), step, want.data());
        for (const RowKernels* kernels : variants()) {
          std::vector<std::uint8_t> got(format.code_bytes);
          ASSERT_EQ(kernels->quantize(format, y.data(), step, got.data()), fits) << kernels->name << " " << r;
          if (!fits) continue;
          ASSERT_EQ(got, want) << kernels->name << " " << to_string(kind) << "-q" << q << " row " << r;
        }
      }
    }
  }
}

TEST(RowKernels, EveryVariantPacksAndUnpacksAsScalarForEveryRange) {
  const RowKernels& scalar = scalar_row_kernels();
  for (Kind kind : {Kind::kD4, Kind::kE8}) {
    for (std::size_t dim : {64, 128, 256, 512}) {
      const auto rows = sample_rows(dim, 8);
      for (int q = kMinRange; q <= kMaxRange; ++q) {
        const RowFormat format = format_of(kind, q, dim);
        std::vector<float> y(dim);
        const std::vector<float>& row = rows[static_cast<std::size_t>(q) % rows.size()];
        const float norm = scalar.norm(row.data(), dim);
        if (std::isinf(norm)) continue;
        const float peak = scalar.rotate(row.data(), dim, norm, y.data());
        const float step = base::f16_to_f32(base::f32_to_f16(peak)) / static_cast<float>(q);
        const Stored want = store(scalar, format, y.data(), step);
        std::vector<std::int16_t> points(dim);
        std::vector<float> direct(dim);
        row_points(format, y.data(), step, points.data());
        clamp_points(format, points, direct.data());
        ASSERT_EQ(want.clamped, direct) << to_string(kind) << "-q" << q << " dim " << dim;
        std::vector<std::uint8_t> codes(format.code_bytes);
        const bool fits = scalar.quantize(format, y.data(), step, codes.data());
        for (const RowKernels* kernels : variants()) {
          std::vector<std::uint8_t> other(format.code_bytes);
          ASSERT_EQ(kernels->quantize(format, y.data(), step, other.data()), fits) << kernels->name;
          if (!fits) other = codes;  // undefined bytes
          ASSERT_EQ(other, codes) << kernels->name << " " << to_string(kind) << "-q" << q << " " << dim;
          ASSERT_EQ(store(*kernels, format, y.data(), step).clamped, want.clamped) << kernels->name;
        }
      }
    }
  }
}

TEST(RowKernels, AnyBytesUnpackInsideTheBoxAndAlikeInEveryVariant) {
  std::mt19937 random(5);
  for (Kind kind : {Kind::kD4, Kind::kE8}) {
    for (int q = kMinRange; q <= kMaxRange; q += 3) {
      const RowFormat format = format_of(kind, q, 64);
      constexpr std::size_t kRows = 5;
      const std::size_t stride = format.code_bytes + 3;  // rows at every alignment
      // Exactly as long as the rows are: a sanitizer sees any read past the last one.
      std::vector<std::uint8_t> bytes(stride * (kRows - 1) + format.code_bytes);
      for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random());
      if (q % 2 == 0) std::fill(bytes.begin(), bytes.end(), std::uint8_t{0xff});
      const std::vector<std::uint32_t> negate = {0, 0x80000000u, 0, 0x80000000u, 0};
      std::vector<float> want(kRows * 64);
      scalar_row_kernels().unpack(format, bytes.data(), stride, bytes.data() + bytes.size(), negate,
                                  {want.data(), kRows, 64});
      for (float v : want) ASSERT_LE(std::fabs(v), static_cast<float>(q));
      for (const RowKernels* kernels : variants()) {
        std::vector<float> got(kRows * 71, 123.0f);
        kernels->unpack(format, bytes.data(), stride, bytes.data() + bytes.size(), negate,
                        {got.data() + 1, kRows, 64, 71});
        for (std::size_t r = 0; r < kRows; ++r) {
          ASSERT_EQ(0, std::memcmp(got.data() + 1 + r * 71, want.data() + r * 64, 64 * sizeof(float)))
              << kernels->name << " " << to_string(kind) << "-q" << q << " row " << r;
          for (std::size_t i = 65; i < 71 && r + 1 < kRows; ++i) ASSERT_EQ(got[r * 71 + i], 123.0f);
        }
      }
    }
  }
}

TEST(RowKernels, EveryVariantOfTheKernelsHasItsOwn) {
  for (const kernels::Table* table : kernels::available()) {
    const RowKernels* found = find_row_kernels(table->base);
    ASSERT_NE(found, nullptr) << table->name;
    EXPECT_STREQ(found->name, table->base);
  }
  EXPECT_EQ(find_row_kernels("abacus"), nullptr);
}

TEST(RowKernels, NoRowsAreNoWork) {
  const RowFormat format = format_of(Kind::kE8, 10, 64);
  for (const RowKernels* kernels : variants()) {
    kernels->unpack(format, nullptr, format.code_bytes, nullptr, {}, {nullptr, 0, 64});
  }
}

TEST(RowFormat, RefusesWhatTheCodecCannotDo) {
  EXPECT_FALSE(RowFormat::create(Kind::kE8, 1, 128).ok());
  EXPECT_FALSE(RowFormat::create(Kind::kE8, 256, 128).ok());
  for (std::size_t dim : {0, 8, 32, 80, 96, 176, 192, 1024}) {
    const auto format = RowFormat::create(Kind::kD4, 38, dim);
    ASSERT_FALSE(format.ok()) << dim;
    EXPECT_EQ(format.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(format.error().message.find(std::to_string(dim)), std::string::npos);
  }
}

// Fields are shift-and-mask values where the radix is a power of two: the first digit fills the low bits.
TEST(RowFormat, PowerOfTwoRadixIsPlainFields) {
  for (int bits = 4; bits <= 8; ++bits) {
    const RowFormat format = format_of(Kind::kE8, (1 << (bits - 1)) - 1, 64);
    EXPECT_EQ(format.radix, 1u << bits);
    EXPECT_EQ(format.group_bits, 8 * bits);
    EXPECT_EQ(format.code_bytes, 8u * static_cast<std::size_t>(bits));
    EXPECT_EQ(8 * bits, formula_bits_per_block(Kind::kE8, format.q));
  }
}

}  // namespace
}  // namespace kakeya::lattice
