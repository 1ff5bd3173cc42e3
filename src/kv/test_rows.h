// For tests only: channels of the registry, rows of every kind, and caches filled with them.
#pragma once
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kv/packed_cache.h"

namespace kakeya::kv {

inline std::vector<std::string> all_channels() {
  std::vector<std::string> out;
  for (const ChannelFamily& family : channel_families()) {
    out.insert(out.end(), family.examples.begin(), family.examples.end());
  }
  return out;
}

// A channel's name as gtest wants it.
inline std::string test_name(const testing::TestParamInfo<std::string>& channel) {
  std::string name = channel.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

inline std::vector<float> random_floats(std::size_t n, unsigned seed, float scale = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random) * scale;
  return out;
}

// Rows of width kv_heads * dim as a cache may meet them: Gaussian, large, tiny, zero, and rows that are
// sparse after rotation, which lattice channels with an odd range keep in side rows.
inline std::vector<float> cache_rows(std::size_t rows, std::size_t heads, std::size_t dim, unsigned seed) {
  std::vector<float> out = random_floats(rows * heads * dim, seed);
  std::mt19937 random(seed + 1);
  for (std::size_t i = 0; i < rows * heads; ++i) {
    float* row = out.data() + i * dim;
    const unsigned kind = random() % 8;
    for (std::size_t d = 0; d < dim; ++d) {
      if (kind == 0) row[d] *= 40.0f;
      if (kind == 1) row[d] *= 1e-4f;
      if (kind == 2) row[d] = 0.0f;
      if (kind == 3) row[d] = (d % 2 == 0 ? 1.0f : -1.0f) - (d % 16 < 8 ? 1.0f : -1.0f);
    }
  }
  return out;
}

inline std::unique_ptr<PackedCache> make_cache(const KvShape& shape, const std::string& channel,
                                               std::size_t max_tokens, int boundary = 0,
                                               std::size_t fast_from = CacheOptions{}.fast_attention_from) {
  auto cache = Cache::create(shape, {*parse_channel(channel), boundary, max_tokens, fast_from});
  EXPECT_TRUE(cache.ok()) << cache.error().message;
  return std::unique_ptr<PackedCache>(static_cast<PackedCache*>(cache->release()));
}

// Rows [first, last) of k and v appended to one layer.
inline Status append_rows(Cache& cache, const kernels::Compute& compute, std::size_t layer,
                          std::vector<float>& k, std::vector<float>& v, std::size_t first, std::size_t last) {
  const std::size_t width = cache.shape().kv_heads * cache.shape().head_dim;
  return cache.append(compute, layer, {k.data() + first * width, last - first, width},
                      {v.data() + first * width, last - first, width});
}

}  // namespace kakeya::kv
