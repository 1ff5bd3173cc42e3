// Nearest points against the reference's golden points, and what makes a nearest point one.
#include "lattice/lattice.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "lattice/golden_files.h"

namespace kakeya::lattice {
namespace {

using Point = std::array<std::int32_t, 8>;  // doubled

// All lattice vectors of the smallest nonzero length: 24 of D4, 240 of E8.
std::vector<Point> roots(Kind kind) {
  std::vector<Point> out;
  const int n = static_cast<int>(block_size(kind));
  for (int i = 0; i < n; ++i) {
    for (int j = i + 1; j < n; ++j) {
      for (int signs = 0; signs < 4; ++signs) {
        Point p{};
        p[static_cast<std::size_t>(i)] = (signs & 1) != 0 ? 2 : -2;
        p[static_cast<std::size_t>(j)] = (signs & 2) != 0 ? 2 : -2;
        out.push_back(p);
      }
    }
  }
  for (int signs = 0; kind == Kind::kE8 && signs < 256; ++signs) {
    if (__builtin_popcount(static_cast<unsigned>(signs)) % 2 != 0) continue;
    Point p{};
    for (std::size_t i = 0; i < 8; ++i) p[i] = (signs >> i & 1) != 0 ? -1 : 1;
    out.push_back(p);
  }
  return out;
}

class Lattice : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Lattice, testing::Values(Kind::kD4, Kind::kE8),
                         [](const auto& kind) { return std::string(to_string(kind.param)); });

TEST_P(Lattice, NearestEqualsTheReferencesGoldenPoints) {
  const std::size_t n = block_size(GetParam());
  const std::string stem = std::string("lattice/closest_") + to_string(GetParam());
  const auto in = golden_values<float>(stem + "_in.f32");
  const auto want = golden_values<float>(stem + "_out.f32");
  ASSERT_EQ(in.size(), 4096 * n);
  ASSERT_EQ(want.size(), in.size());
  for (std::size_t b = 0; b < in.size(); b += n) {
    float got[8];
    nearest(GetParam(), in.data() + b, got);
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(got[i], want[b + i]) << "block " << b / n;
  }
}

TEST_P(Lattice, HasTheKissingNumberOfRootsAndEveryRootIsAMember) {
  const auto all = roots(GetParam());
  EXPECT_EQ(all.size(), GetParam() == Kind::kD4 ? 24u : 240u);
  for (const Point& root : all) EXPECT_TRUE(is_member(GetParam(), root.data()));
}

TEST_P(Lattice, RefusesPointsOfWrongParityOrMixedCosets) {
  for (const Point& p :
       {Point{2, 0, 0, 0}, Point{1, 0, 0, 0}, Point{2, 2, 2, 0}, Point{1, 1, 1, 3, 1, 1, 1, 1}}) {
    EXPECT_FALSE(is_member(GetParam(), p.data()));
  }
  const Point half{1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(is_member(GetParam(), half.data()), GetParam() == Kind::kE8);
}

TEST_P(Lattice, NearestIsAMemberNeverBeatenByARootNeighbour) {
  const std::size_t n = block_size(GetParam());
  const auto neighbours = roots(GetParam());
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  for (int trial = 0; trial < 3000; ++trial) {
    float t[8];
    float p[8];
    for (float& v : t) v = normal(random);
    nearest(GetParam(), t, p);
    Point doubled{};
    double best = 0;
    for (std::size_t i = 0; i < n; ++i) {
      doubled[i] = static_cast<std::int32_t>(2 * p[i]);
      best += std::pow(double{t[i]} - double{p[i]}, 2);
    }
    ASSERT_TRUE(is_member(GetParam(), doubled.data()));
    for (const Point& root : neighbours) {
      double distance = 0;
      for (std::size_t i = 0; i < n; ++i)
        distance += std::pow(double{t[i]} - double{p[i]} - 0.5 * root[i], 2);
      ASSERT_GE(distance, best * (1 - 1e-5) - 1e-6) << "trial " << trial;
    }
  }
}

TEST_P(Lattice, NearestOfALatticePointIsItself) {
  const std::size_t n = block_size(GetParam());
  const auto steps = roots(GetParam());
  std::mt19937 random(8);
  float walk[8] = {};
  for (int trial = 0; trial < 2000; ++trial) {
    const Point& step = steps[random() % steps.size()];
    for (std::size_t i = 0; i < n; ++i) walk[i] += 0.5f * static_cast<float>(step[i]);
    float p[8];
    nearest(GetParam(), walk, p);
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(p[i], walk[i]) << "trial " << trial;
  }
}

// The second moment of the Voronoi cell per dimension, for cells of volume 1: D4 0.076603, E8 0.071682
// (Conway and Sloane, Sphere Packings, Lattices and Groups, table 2.3). D4 has volume 2, so its cell is
// 2^(1/2) larger.
TEST_P(Lattice, QuantisationNoiseIsTheLatticesSecondMoment) {
  const std::size_t n = block_size(GetParam());
  std::mt19937 random(9);
  std::uniform_real_distribution<float> uniform(-4.0f, 4.0f);
  double sum = 0;
  constexpr int kTrials = 40000;
  for (int trial = 0; trial < kTrials; ++trial) {
    float t[8];
    float p[8];
    for (float& v : t) v = uniform(random);
    nearest(GetParam(), t, p);
    for (std::size_t i = 0; i < n; ++i) sum += std::pow(double{t[i]} - double{p[i]}, 2);
  }
  const double expected = GetParam() == Kind::kD4 ? 0.076603 * std::sqrt(2.0) : 0.071682;
  EXPECT_NEAR(sum / (kTrials * static_cast<double>(n)), expected, 0.01 * expected);
}

TEST(LatticeFormula, GivesTheBitsTheReferenceReports) {
  const int ranges[] = {4, 10, 19, 37, 38, 76, 152};
  const int e8[] = {26, 36, 43, 50, 51, 59, 67};
  const int d4[] = {12, 17, 21, 24, 25, 29, 33};
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(formula_bits_per_block(Kind::kE8, ranges[i]), e8[i]);
    EXPECT_EQ(formula_bits_per_block(Kind::kD4, ranges[i]), d4[i]);
  }
}

}  // namespace
}  // namespace kakeya::lattice
