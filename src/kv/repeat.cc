// A cache made longer out of its own rows, for measuring at depths nobody wants to wait for.
#include <string>

#include "base/check.h"
#include "kv/packed_cache.h"

namespace kakeya::kv {
namespace {

void repeat_head(const RowCodec& codec, RowStore& store, std::size_t head, std::size_t from,
                 std::size_t length) {
  for (std::size_t position = from; position < length; ++position) {
    codec.copy_row(store.pages.row(head, position - from), store.pages.row(head, position), store.side[head]);
  }
}

}  // namespace

Status PackedCache::repeat_rows(const kernels::Compute& compute, std::size_t length) {
  const std::size_t from = this->length();
  KAKEYA_CHECK(from >= 1 && length >= from);
  if (length > options_.max_tokens) {
    return Error{ErrorCode::kOutOfMemory, "KV cache, repeating rows: " + std::to_string(length) +
                                              " tokens, expected at most max_tokens, " +
                                              std::to_string(options_.max_tokens)};
  }
  for (LayerStore& layer : layers_) {
    KAKEYA_CHECK(layer.length == from);
    if (!layer.k.pages.reserve(length) || !layer.v.pages.reserve(length)) {
      return Error{ErrorCode::kOutOfMemory, "KV cache, repeating rows: the system has no memory for " +
                                                std::to_string(length) + " tokens"};
    }
  }
  const std::size_t heads = shape_.kv_heads;
  compute.pool->parallel_for(2 * heads * layers_.size(), [&](std::size_t task, int) {
    LayerStore& layer = layers_[task / (2 * heads)];
    const std::size_t head = task % heads;
    repeat_head(*layer.codec, task / heads % 2 == 0 ? layer.k : layer.v, head, from, length);
  });
  for (LayerStore& layer : layers_) {
    layer.length = length;
    settle_side(layer);
  }
  note_peak();
  return {};
}

}  // namespace kakeya::kv
