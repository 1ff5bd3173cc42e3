// The e8 and d4 row codecs against the golden files, on rare rows and on hostile bytes.
#include "kv/lattice_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/half.h"
#include "lattice/golden_files.h"
#include "lattice/row_kernels.h"

namespace kakeya::kv {
namespace {

using lattice::golden_values;
using lattice::GoldenCodes;
using lattice::Kind;

std::unique_ptr<RowCodec> codec_of(Kind kind, int q, std::size_t dim) {
  auto codec = make_lattice_codec(kind, q, dim);
  EXPECT_TRUE(codec.ok());
  return std::move(*codec);
}

std::vector<const kernels::Table*> variants() {
  return {kernels::available().begin(), kernels::available().end()};
}

struct Encoded {
  std::vector<std::byte> row;
  SideRows side;
};
Encoded encode(const RowCodec& codec, const kernels::Table& ops, std::span<const float> x) {
  Encoded out;
  out.row.resize(codec.row_bytes());
  const Status status = codec.encode(ops, x, out.row.data(), out.side);
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(out.side.size(), codec.side_bytes(out.row.data()));
  return out;
}

std::vector<float> decode(const RowCodec& codec, const kernels::Table& ops, const Encoded& in) {
  std::vector<float> out(codec.dim());
  codec.decode(ops, in.row.data(), in.side, out);
  return out;
}

// Codes of one row as doubled integers.
std::vector<int> doubled(const RowCodec& codec, const kernels::Table& ops, const Encoded& in) {
  std::vector<float> tile(codec.dim());
  float scale = 0;
  codec.unpack(ops, in.row.data(), 1, in.side, {tile.data(), 1, codec.dim()}, &scale);
  std::vector<int> out;
  for (float c : tile) out.push_back(static_cast<int>(2 * c));
  return out;
}

double largest(std::span<const float> x) {
  double out = 0;
  for (float v : x) out = std::max(out, std::fabs(double{v}));
  return out;
}

double squared_error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  return sum;
}

bool has_outputs(const GoldenCodes& golden) { return golden.rel_mse != 0; }
std::string output_file(const GoldenCodes& golden) {
  return golden.folder + "/xhat" + golden.file.substr(6, golden.file.find('.') - 6) + ".f32";
}

// T4: the reference's codes and headers to its output. The golden codes enter as a wide row, whose points
// need not lie on the lattice.
TEST(LatticeCodec, DecodesTheReferencesCodesToItsOutput) {
  for (const kernels::Table* ops : variants()) {
    for (const GoldenCodes& golden : lattice::golden_codes()) {
      if (!has_outputs(golden)) continue;
      const auto codec = codec_of(golden.kind, golden.q, golden.dim);
      const auto header = golden_values<std::uint16_t>(golden.path("hdr", ".u16"));
      const auto codes = golden_values<std::int16_t>(golden.folder + "/" + golden.file);
      const auto want = golden_values<float>(output_file(golden));
      for (std::size_t r = 0; r < want.size() / golden.dim; ++r) {
        if (golden.nonfinite.contains(r)) continue;
        Encoded in{std::vector<std::byte>(codec->row_bytes()), SideRows(2 * golden.dim)};
        const std::uint16_t fields[2] = {static_cast<std::uint16_t>(header[2 * r] | 0x8000),
                                         header[2 * r + 1]};
        std::memcpy(in.row.data(), fields, 4);
        std::memcpy(in.side.data(), codes.data() + r * golden.dim, in.side.size());
        const auto got = decode(*codec, *ops, in);
        const std::span<const float> expected(want.data() + r * golden.dim, golden.dim);
        const double bound = 1e-5 * largest(expected);
        for (std::size_t i = 0; i < golden.dim; ++i)
          ASSERT_NEAR(got[i], expected[i], bound) << golden.file << r;
      }
    }
  }
}

// T5: end to end, and the distortion the manifest pins.
TEST(LatticeCodec, RoundtripAgreesWithTheReferenceEndToEnd) {
  for (const kernels::Table* ops : variants()) {
    for (const GoldenCodes& golden : lattice::golden_codes()) {
      if (!has_outputs(golden)) continue;
      const auto codec = codec_of(golden.kind, golden.q, golden.dim);
      const auto x = golden_values<float>(golden.path("x", ".f32"));
      const auto want = golden_values<float>(output_file(golden));
      double mse = 0;
      double mse_expected = 0;
      std::size_t rows = 0;
      for (std::size_t r = 0; r < x.size() / golden.dim; ++r) {
        const std::span<const float> in(x.data() + r * golden.dim, golden.dim);
        const std::span<const float> expected(want.data() + r * golden.dim, golden.dim);
        const auto got = decode(*codec, *ops, encode(*codec, *ops, in));
        if (golden.nonfinite.contains(r) || golden.order_sensitive.contains(r)) continue;
        const double bound = 2e-5 * largest(expected);
        for (std::size_t i = 0; i < golden.dim; ++i) {
          ASSERT_NEAR(got[i], expected[i], bound) << ops->name << " " << golden.file << " row " << r;
        }
        const bool near_zero = r >= 168 && r < 184;  // category of the manifest, left out of its rel_mse
        const std::vector<float> zeros(golden.dim);
        const double energy = squared_error(in, zeros);
        if (near_zero || energy == 0) continue;
        mse += squared_error(in, got) / energy;
        mse_expected += squared_error(in, expected) / energy;
        ++rows;
      }
      ASSERT_GT(rows, 200u);
      ASSERT_NEAR(mse, mse_expected, 1e-4 * mse_expected) << golden.file;
      if (golden.order_sensitive.empty()) {
        ASSERT_NEAR(mse / static_cast<double>(rows), golden.rel_mse, 1e-4 * golden.rel_mse) << golden.file;
      }
    }
  }
}

// T6 on whole rows: x to codes, for the odd and extreme ranges too.
TEST(LatticeCodec, CodesOfWholeRowsEqualTheReferences) {
  for (const kernels::Table* ops : variants()) {
    for (const GoldenCodes& golden : lattice::golden_codes()) {
      const auto codec = codec_of(golden.kind, golden.q, golden.dim);
      const auto x = golden_values<float>(golden.path("x", ".f32"));
      const auto want = golden_values<std::int16_t>(golden.folder + "/" + golden.file);
      std::size_t differ = 0;
      for (std::size_t r = 0; r < x.size() / golden.dim; ++r) {
        const auto got = doubled(*codec, *ops, encode(*codec, *ops, {x.data() + r * golden.dim, golden.dim}));
        if (golden.order_sensitive.contains(r)) continue;
        for (std::size_t i = 0; i < golden.dim; ++i) {
          if (got[i] != want[r * golden.dim + i]) {
            ++differ;
            break;
          }
        }
      }
      // Another summation order may move a value across a rounding boundary; the lists of sensitive rows are
      // not complete in this respect.
      ASSERT_LE(differ, 3u) << ops->name << " " << golden.file;
    }
  }
}

TEST(LatticeCodec, EveryVariantWritesTheScalarBytes) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (Kind kind : {Kind::kD4, Kind::kE8}) {
    for (int q : {2, 4, 7, 10, 31, 38, 127, 128, 255}) {
      const auto codec = codec_of(kind, q, 128);
      for (int r = 0; r < 50; ++r) {
        std::vector<float> x(128);
        for (float& v : x) v = normal(random);
        const Encoded want = encode(*codec, *kernels::find("scalar"), x);
        for (const kernels::Table* ops : variants()) {
          const Encoded got = encode(*codec, *ops, x);
          ASSERT_EQ(got.row, want.row) << ops->name << " q " << q;
          ASSERT_EQ(got.side, want.side) << ops->name << " q " << q;
        }
      }
    }
  }
}

TEST(LatticeCodec, RowsTogetherAreStoredAsRowsAlone) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  constexpr std::size_t kRows = 23;
  constexpr std::size_t kStride = 71;
  std::vector<float> x(kRows * kStride);
  for (float& v : x) v = normal(random);
  for (std::size_t j = 0; j < 64; ++j) {
    x[3 * kStride + j] *= 1e30f;                                           // beyond fp32 when squared
    x[5 * kStride + j] = __builtin_popcountll(j & 9) % 2 != 0 ? 2.0f : 0;  // two spikes: wide
    x[22 * kStride + j] *= 1e-12f;
  }
  for (const kernels::Table* ops : variants()) {
    const auto codec = codec_of(Kind::kE8, 5, 64);
    std::vector<std::byte> together(kRows * codec->row_bytes());
    std::vector<std::byte> alone(together.size());
    SideRows side_together;
    SideRows side_alone;
    std::size_t failed = 0;
    ASSERT_TRUE(
        codec->encode_rows(*ops, {x.data(), kRows, 64, kStride}, together.data(), side_together, &failed)
            .ok());
    for (std::size_t r = 0; r < kRows; ++r) {
      std::byte* row = alone.data() + r * codec->row_bytes();
      ASSERT_TRUE(codec->encode(*ops, {x.data() + r * kStride, 64}, row, side_alone).ok());
    }
    EXPECT_EQ(together, alone) << ops->name;
    EXPECT_EQ(side_together, side_alone) << ops->name;
    EXPECT_FALSE(side_alone.empty());
    std::vector<float> bad(x);
    bad[7 * kStride + 9] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(
        codec->encode_rows(*ops, {bad.data(), kRows, 64, kStride}, together.data(), side_together, &failed)
            .ok());
    EXPECT_EQ(failed, 7u);
  }
}

TEST(LatticeCodec, AllocatedBytesKeepTheTableOfTheDesign) {
  EXPECT_LE(codec_of(Kind::kE8, 38, 128)->row_bytes(), 108u);
  EXPECT_LE(codec_of(Kind::kE8, 10, 128)->row_bytes(), 76u);
  EXPECT_LE(codec_of(Kind::kE8, 4, 128)->row_bytes(), 60u);
  EXPECT_EQ(codec_of(Kind::kE8, 7, 128)->row_bytes(), 68u);
  EXPECT_EQ(codec_of(Kind::kE8, 31, 128)->row_bytes(), 100u);
  EXPECT_LE(codec_of(Kind::kD4, 38, 128)->row_bytes(), 104u);
  EXPECT_EQ(codec_of(Kind::kE8, 38, 128)->formula_bits(), 848);
  EXPECT_EQ(codec_of(Kind::kD4, 38, 128)->formula_bits(), 832);
  // Radix 2Q+2 and whole bits for two digits: at most 5 bits per 8 values above the formula, at Q = 2.
  for (int q = 2; q <= 255; ++q) {
    for (std::size_t dim : {64, 128, 256, 512}) {
      for (Kind kind : {Kind::kD4, Kind::kE8}) {
        const auto codec = codec_of(kind, q, dim);
        EXPECT_LE(8.0 * static_cast<double>(codec->row_bytes()),
                  codec->formula_bits() + static_cast<double>(dim) * 5 / 8);
      }
    }
  }
}

TEST(LatticeCodec, ZeroRowsComeBackAsZeros) {
  const std::vector<float> x(64);
  for (const kernels::Table* ops : variants()) {
    const auto codec = codec_of(Kind::kE8, 38, 64);
    const Encoded row = encode(*codec, *ops, x);
    for (float v : decode(*codec, *ops, row)) EXPECT_EQ(v, 0.0f);
    // Both headers hold kEpsilon as fp16.
    EXPECT_EQ(std::to_integer<int>(row.row[0]) | std::to_integer<int>(row.row[1]) << 8, 2);
    EXPECT_EQ(std::to_integer<int>(row.row[2]) | std::to_integer<int>(row.row[3]) << 8, 2);
  }
}

TEST(LatticeCodec, NaNAndInfinityAreErrorsThatNameTheValue) {
  for (const kernels::Table* ops : variants()) {
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                      -std::numeric_limits<float>::infinity()}) {
      for (std::size_t at : {0, 37, 127}) {
        const auto codec = codec_of(Kind::kE8, 10, 128);
        std::vector<float> x(128, 1.0f);
        x[at] = bad;
        std::vector<std::byte> row(codec->row_bytes());
        SideRows side;
        const Status status = codec->encode(*ops, x, row.data(), side);
        ASSERT_FALSE(status.ok()) << ops->name;
        EXPECT_EQ(status.error().code, ErrorCode::kNumeric);
        EXPECT_NE(status.error().message.find(std::to_string(at)), std::string::npos)
            << status.error().message;
        EXPECT_TRUE(side.empty());
      }
    }
  }
}

TEST(LatticeCodec, HugeNormsSaturateAtTheLargestHalf) {
  for (const kernels::Table* ops : variants()) {
    for (float magnitude : {1e4f, 1e10f, 1e25f, 3e38f}) {
      const auto codec = codec_of(Kind::kE8, 38, 128);
      std::vector<float> x(128);
      for (std::size_t i = 0; i < 128; ++i) x[i] = (i * 7 % 5 < 2 ? -1.0f : 1.0f) * magnitude;
      const auto out = decode(*codec, *ops, encode(*codec, *ops, x));
      double norm = 0;
      for (std::size_t i = 0; i < 128; ++i) {
        ASSERT_TRUE(std::isfinite(out[i]));
        EXPECT_EQ(out[i] < 0, x[i] < 0) << magnitude;
        norm += double{out[i]} * double{out[i]};
      }
      EXPECT_NEAR(std::sqrt(norm), 65504.0, 1310.0) << magnitude;
    }
  }
}

// Two spikes of opposite sign at an odd range: each rounds half up or is moved by parity, one to each side.
// Such rows, and those with a subnormal peak, are kept wide and come back as they are.
TEST(LatticeCodec, WideRowsComeBackAndOwnTheirSideBytes) {
  const kernels::Table& ops = *kernels::find("scalar");
  std::size_t wide = 0;
  SideRows side;
  const auto codec = codec_of(Kind::kE8, 5, 64);
  std::vector<std::byte> rows;
  std::vector<std::vector<float>> alone;
  for (std::size_t i = 0; i < 64; ++i) {
    std::vector<float> x(64);
    // h_0 - h_i: rotated, one spike up and one down.
    for (std::size_t j = 0; j < 64; ++j) x[j] = 1.0f - (__builtin_popcountll(i & j) % 2 != 0 ? -1.0f : 1.0f);
    const std::size_t before = side.size();
    rows.resize(rows.size() + codec->row_bytes());
    std::byte* row = rows.data() + i * codec->row_bytes();
    ASSERT_TRUE(codec->encode(ops, x, row, side).ok());
    EXPECT_EQ(side.size() - before, codec->side_bytes(row));
    wide += codec->side_bytes(row) != 0;
    alone.push_back(decode(*codec, ops, encode(*codec, ops, x)));
  }
  ASSERT_GT(wide, 1u);
  std::vector<float> tile(64 * 64);
  std::vector<float> scales(64);
  codec->unpack(ops, rows.data(), 64, side, {tile.data(), 64, 64}, scales.data());
  for (std::size_t i = 0; i < 64; ++i) {
    std::vector<float> out(64);
    codec->decode(ops, rows.data() + i * codec->row_bytes(), side, out);
    EXPECT_EQ(out, alone[i]) << i;
    ops.hadamard(tile.data() + 64 * i, 64);
    for (std::size_t j = 0; j < 64; ++j) EXPECT_NEAR(scales[i] * tile[64 * i + j], out[j], 1e-5) << i;
  }
}

TEST(LatticeCodec, AnyBytesAreSafeToReadAndWideRowsWithoutSideBytesReadAsZeros) {
  std::mt19937 random(11);
  for (const kernels::Table* ops : variants()) {
    for (Kind kind : {Kind::kD4, Kind::kE8}) {
      for (int q : {2, 10, 38, 255}) {
        const auto codec = codec_of(kind, q, 64);
        std::vector<std::byte> rows(3 * codec->row_bytes());
        for (int trial = 0; trial < 200; ++trial) {
          for (std::byte& b : rows) b = static_cast<std::byte>(random());
          SideRows side(random() % 300);
          if (trial % 2 == 0)
            std::fill(rows.begin() + 4, rows.begin() + 12, std::byte{static_cast<unsigned char>(trial % 3)});
          std::vector<float> tile(3 * 64);
          float scales[3];
          codec->unpack(*ops, rows.data(), 3, side, {tile.data(), 3, 64}, scales);
          for (float v : tile) ASSERT_LE(std::fabs(v), static_cast<float>(q));
          std::vector<float> out(64);
          codec->decode(*ops, rows.data(), side, out);
        }
        rows.assign(rows.size(), std::byte{0xff});
        std::vector<float> tile(3 * 64, 5.0f);
        float scales[3];
        codec->unpack(*ops, rows.data(), 3, {}, {tile.data(), 3, 64}, scales);
        for (float v : tile) ASSERT_EQ(v, 0.0f);
      }
    }
  }
}

TEST(LatticeCodec, UnpacksEveryCountOfRowsAlike) {
  std::mt19937 random(12);
  std::normal_distribution<float> normal;
  constexpr std::size_t kRows = 131;
  for (const kernels::Table* ops : variants()) {
    const auto codec = codec_of(Kind::kE8, 10, 64);
    std::vector<std::byte> rows(kRows * codec->row_bytes());
    SideRows side;
    for (std::size_t r = 0; r < kRows; ++r) {
      std::vector<float> x(64);
      for (float& v : x) v = normal(random);
      ASSERT_TRUE(codec->encode(*ops, x, rows.data() + r * codec->row_bytes(), side).ok());
    }
    std::vector<float> all(kRows * 64);
    std::vector<float> all_scales(kRows);
    codec->unpack(*ops, rows.data(), kRows, side, {all.data(), kRows, 64}, all_scales.data());
    for (std::size_t n : {0, 1, 2, 63, 64, 65, 130}) {
      std::vector<float> tile(n * 64);
      std::vector<float> scales(n);
      codec->unpack(*ops, rows.data(), n, side, {tile.data(), n, 64}, scales.data());
      EXPECT_TRUE(std::equal(tile.begin(), tile.end(), all.begin())) << n;
      EXPECT_TRUE(std::equal(scales.begin(), scales.end(), all_scales.begin())) << n;
    }
  }
}

TEST(LatticeFamilies, MatchOnlyTheCanonicalNamesInRange) {
  const ChannelFamily family = e8_family();
  int q = 0;
  EXPECT_TRUE(family.matches("e8-q38", &q));
  EXPECT_EQ(q, 38);
  EXPECT_TRUE(family.matches("e8-q2", &q));
  EXPECT_TRUE(family.matches("e8-q255", &q));
  for (const char* bad : {"e8-q", "e8-q1", "e8-q256", "e8-q038", "e8-q38 ", "e8-q-4", "E8-q38", "d4-q38",
                          "e8-q+5", "e8-q9999999999"}) {
    EXPECT_FALSE(family.matches(bad, &q)) << bad;
  }
  EXPECT_TRUE(d4_family().matches("d4-q38", &q));
}

}  // namespace
}  // namespace kakeya::kv
