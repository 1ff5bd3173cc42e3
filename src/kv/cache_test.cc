#include "kv/cache.h"

#include <gtest/gtest.h>

#include <random>

namespace kakeya::kv {
namespace {

TEST(Cache, AttentionOverOneRowIsThatRow) {
  base::ThreadPool pool(1);
  const kernels::Compute compute = {&kernels::best(), &pool};
  for (const ChannelFamily& family : channel_families()) {
    for (const std::string& name : family.examples) {
      auto cache = Cache::create({1, 2, 64}, {*parse_channel(name), 0, 100});
      ASSERT_TRUE(cache.ok()) << cache.error().message;
      std::mt19937 random(1);
      std::normal_distribution<float> normal;
      std::vector<float> k(128), v(128), q(256), out(256), row(64);
      for (auto* x : {&k, &v})
        for (float& f : *x) f = normal(random);
      for (float& f : q) f = normal(random);
      ASSERT_TRUE((*cache)->append(compute, 0, {k.data(), 1, 128}, {v.data(), 1, 128}).ok());
      const Visible visible = {0, 1};
      ASSERT_TRUE((*cache)
                      ->attend(compute, {0, {q.data(), 1, 256}, {&visible, 1}, 0.125f, {out.data(), 1, 256}})
                      .ok());
      for (std::size_t h = 0; h < 4; ++h) {
        (*cache)->read_row(compute, 0, h / 2, true, 0, row);
        for (std::size_t d = 0; d < 64; ++d) EXPECT_NEAR(out[h * 64 + d], row[d], 1e-5f) << name;
      }
    }
  }
}

}  // namespace
}  // namespace kakeya::kv
