// For tests only: two caches compared bit by bit.
#pragma once
#include <cstring>
#include <utility>
#include <vector>

#include "kv/test_rows.h"

namespace kakeya::kv {

// Stored bytes, side rows, readings and attention of both caches are the same, bit for bit.
inline void expect_same(PackedCache& a, PackedCache& b, const kernels::Compute& compute) {
  ASSERT_EQ(a.length(), b.length());
  EXPECT_EQ(a.ledger().vectors_stored, b.ledger().vectors_stored);
  const KvShape& shape = a.shape();
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const LayerStore& x = a.layer_store(layer);
    const LayerStore& y = b.layer_store(layer);
    ASSERT_EQ(x.length, y.length);
    for (const bool value : {false, true}) {
      const RowStore& p = value ? x.v : x.k;
      const RowStore& q = value ? y.v : y.k;
      EXPECT_EQ(p.side, q.side);
      for (std::size_t head = 0; head < shape.kv_heads; ++head) {
        for (std::size_t t = 0; t < x.length; ++t) {
          ASSERT_EQ(0, std::memcmp(p.pages.row(head, t), q.pages.row(head, t), x.codec->row_bytes())) << t;
        }
      }
    }
    if (x.length == 0) continue;
    const std::size_t width = 2 * shape.kv_heads * shape.head_dim;
    std::vector<float> queries = random_floats(3 * width, 99), out_a(3 * width), out_b(3 * width);
    const std::vector<Visible> visible = {{0, x.length}, {0, (x.length + 1) / 2}, {x.length / 2, x.length}};
    for (auto& [cache, out] : {std::pair(&a, &out_a), std::pair(&b, &out_b)}) {
      ASSERT_TRUE(
          cache->attend(compute, {layer, {queries.data(), 3, width}, visible, 0.1f, {out->data(), 3, width}})
              .ok());
    }
    EXPECT_EQ(0, std::memcmp(out_a.data(), out_b.data(), out_a.size() * sizeof(float)));
  }
}

}  // namespace kakeya::kv
