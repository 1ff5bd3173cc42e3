// What tests of decode share: a chi-square test and a target made of tables. Included by *_test.cc only.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace kakeya::decode::test {

// Upper tail of the chi-square distribution: the regularised incomplete gamma Q(df / 2, x / 2), by the series
// for small x and the continued fraction (modified Lentz) otherwise.
inline double chi_square_tail(double x, double degrees) {
  const double a = degrees / 2, z = x / 2;
  if (z <= 0) return 1;
  const double front = std::exp(-z + a * std::log(z) - std::lgamma(a));
  if (z < a + 1) {
    double term = 1 / a, sum = term;
    for (int n = 1; n < 10000 && term > sum * 1e-15; ++n) sum += term *= z / (a + n);
    return 1 - front * sum;
  }
  double b = z + 1 - a, c = 1e300, d = 1 / b, h = d;
  for (int n = 1; n < 10000; ++n) {
    const double an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return front * h;
}

// p-value of `counts` against `expected` (same sum); cells with fewer than 5 expected are pooled into one.
// A count in a cell that cannot occur gives 0.
inline double chi_square_p(const std::vector<double>& counts, const std::vector<double>& expected) {
  double x = 0, pooled_count = 0, pooled_expected = 0;
  int cells = 0;
  const auto add = [&](double n, double e) {
    x += (n - e) * (n - e) / e;
    ++cells;
  };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] <= 0) {
      if (counts[i] > 0) return 0;
    } else if (expected[i] < 5) {
      pooled_count += counts[i];
      pooled_expected += expected[i];
    } else {
      add(counts[i], expected[i]);
    }
  }
  if (pooled_expected > 0) add(pooled_count, pooled_expected);
  return chi_square_tail(x, cells - 1);
}

}  // namespace kakeya::decode::test
