// Cache verbs: append, commit, rewind, truncate, and the ledger. Attention is in attend.cc.
#include "kv/cache.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "kv/packed_cache.h"

namespace kakeya::kv {
namespace {

// Values of K and V below which append stays in the caller's thread: a row or two.
constexpr std::size_t kMinForkValues = std::size_t{1} << 12;

Error append_error(ErrorCode code, std::size_t layer, const std::string& what) {
  return {code, "KV cache, append to layer " + std::to_string(layer) + ": " + what};
}

// Drops the side bytes that the rows [length, old_length) of one head own, last row first.
void drop_side_rows(const RowCodec& codec, RowStore& store, std::size_t head, std::size_t length,
                    std::size_t old_length) {
  SideRows& side = store.side[head];
  std::size_t bytes = side.size();
  for (std::size_t i = old_length; i > length && bytes > 0; --i) {
    bytes -= codec.side_bytes(store.pages.row(head, i - 1));
  }
  side.resize(bytes);
}

}  // namespace

bool settle_side(LayerStore& layer) {
  bool changed = false;
  for (RowStore* store : {&layer.k, &layer.v}) {
    for (std::size_t head = 0; head < store->side.size(); ++head) {
      changed = changed || store->settled_side[head] != store->side[head].size();
      store->settled_side[head] = store->side[head].size();
    }
  }
  return changed;
}

Result<std::unique_ptr<Cache>> Cache::create(const KvShape& shape, const CacheOptions& options) {
  if (shape.layers == 0 || shape.kv_heads == 0 || shape.head_dim == 0) {
    return invalid_argument("KV cache: layers, kv_heads and head_dim must be at least 1, found " +
                            std::to_string(shape.layers) + ", " + std::to_string(shape.kv_heads) + ", " +
                            std::to_string(shape.head_dim));
  }
  if (options.max_tokens == 0) return invalid_argument("KV cache: max_tokens is 0, expected at least 1");
  if (options.boundary < 0) {
    return invalid_argument("KV cache: boundary is " + std::to_string(options.boundary) +
                            ", expected 0 or more layers");
  }
  KAKEYA_ASSIGN(auto codec, make_codec(options.channel, shape.head_dim));
  KAKEYA_ASSIGN(auto bf16, parse_channel("bf16"));
  KAKEYA_ASSIGN(auto plain, make_codec(bf16, shape.head_dim));
  return std::unique_ptr<Cache>(
      std::make_unique<PackedCache>(shape, options, std::move(codec), std::move(plain)));
}

PackedCache::PackedCache(const KvShape& shape, const CacheOptions& options, std::unique_ptr<RowCodec> codec,
                         std::unique_ptr<RowCodec> plain)
    : shape_(shape), options_(options), codec_(std::move(codec)), plain_(std::move(plain)) {
  const auto boundary = static_cast<std::size_t>(options.boundary);
  layers_.reserve(shape.layers);
  for (std::size_t i = 0; i < shape.layers; ++i) {
    const bool uses_channel = i >= boundary && shape.layers - i > boundary;
    const RowCodec* codec_in_use = uses_channel ? codec_.get() : plain_.get();
    const auto store = [&] {
      return RowStore{PageList(pool_, shape.kv_heads, codec_in_use->row_bytes()),
                      std::vector<SideRows>(shape.kv_heads), std::vector<std::size_t>(shape.kv_heads)};
    };
    layers_.push_back({codec_in_use, uses_channel, 0, store(), store()});
  }
  counters_.resize(shape.layers);
}

std::string PackedCache::layer_channel(std::size_t layer) const {
  KAKEYA_CHECK(layer < layers_.size());
  return layers_[layer].uses_channel ? options_.channel.name : "bf16";
}

std::size_t PackedCache::length() const {
  std::size_t shortest = layers_[0].length;
  for (const LayerStore& layer : layers_) shortest = std::min(shortest, layer.length);
  return shortest;
}

Status PackedCache::encode_head(const kernels::Table& ops, const LayerStore& layer, RowStore& store,
                                Rows<const float> rows, std::size_t head) {
  const std::size_t dim = shape_.head_dim;
  for (std::size_t i = 0; i < rows.rows;) {
    const std::size_t position = layer.length + i;
    const std::size_t n = std::min(rows.rows - i, kPageTokens - position % kPageTokens);
    const Rows<const float> x(rows.row(i).data() + head * dim, n, dim, rows.stride);
    std::size_t failed = 0;
    const Status status =
        layer.codec->encode_rows(ops, x, store.pages.row(head, position), store.side[head], &failed);
    if (!status.ok()) {
      return Error{status.error().code,
                   std::string(&store == &layer.k ? "K" : "V") + " of head " + std::to_string(head) +
                       " at position " + std::to_string(position + failed) + ": " + status.error().message};
    }
    i += n;
  }
  return {};
}

Status PackedCache::append(const kernels::Compute& compute, std::size_t index, Rows<const float> k,
                           Rows<const float> v) {
  KAKEYA_CHECK(index < layers_.size() && k.rows == v.rows);
  KAKEYA_CHECK(k.cols == shape_.kv_heads * shape_.head_dim && v.cols == k.cols);
  LayerStore& layer = layers_[index];
  if (k.rows > options_.max_tokens - layer.length) {
    return append_error(ErrorCode::kOutOfMemory, index,
                        std::to_string(k.rows) + " new tokens do not fit behind the " +
                            std::to_string(layer.length) + " held; max_tokens is " +
                            std::to_string(options_.max_tokens));
  }
  const std::size_t new_length = layer.length + k.rows;
  const bool grows = new_length > layer.k.pages.capacity_tokens();
  const bool reserved = layer.k.pages.reserve(new_length) && layer.v.pages.reserve(new_length);
  if (grows) note_peak();
  if (!reserved) {
    return append_error(ErrorCode::kOutOfMemory, index,
                        "the system has no memory for " + std::to_string(new_length) + " tokens");
  }
  // One task per head of K, then of V: each owns its rows and side rows. The failure of the first task is
  // told.
  std::mutex failure_mutex;
  std::size_t failed_task = 2 * shape_.kv_heads;
  Error failure = {};
  const std::size_t side_heads = shape_.kv_heads;
  const auto encode = [&](std::size_t task, int) {
    const bool value = task >= side_heads;
    Status status =
        encode_head(*compute.ops, layer, value ? layer.v : layer.k, value ? v : k, task % side_heads);
    if (status.ok()) return;
    const std::lock_guard lock(failure_mutex);
    if (task > failed_task) return;
    failed_task = task;
    failure = status.error();
  };
  // A fork costs more than encoding so little.
  if (2 * k.rows * k.cols <= kMinForkValues) {
    for (std::size_t task = 0; task < 2 * side_heads; ++task) encode(task, 0);
  } else {
    compute.pool->parallel_for(2 * side_heads, encode);
  }
  if (failed_task < 2 * side_heads) {
    for (RowStore* store : {&layer.k, &layer.v}) {
      for (std::size_t head = 0; head < side_heads; ++head)
        store->side[head].resize(store->settled_side[head]);
    }
    return append_error(failure.code, index, failure.message);
  }
  layer.length = new_length;
  if (settle_side(layer)) note_peak();
  const std::uint64_t vectors = 2 * k.rows * shape_.kv_heads;
  LayerCounters& counters = counters_[index];
  const bool fired = layer.uses_channel && options_.channel.name != "bf16";
  (fired ? counters.codec_fired_calls : counters.skip_fired_calls) += 1;
  (fired ? counters.codec_fired_vectors : counters.skip_fired_vectors) += vectors;
  return {};
}
void PackedCache::drop_rows(std::size_t length) {
  for (LayerStore& layer : layers_) {
    if (layer.length <= length) continue;
    for (RowStore* store : {&layer.k, &layer.v}) {
      for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
        drop_side_rows(*layer.codec, *store, head, length, layer.length);
      }
    }
    layer.length = length;
    settle_side(layer);
  }
}

void PackedCache::commit(std::size_t length) {
  KAKEYA_CHECK(length >= committed_ && length <= this->length());
  committed_ = length;
}

void PackedCache::rewind_to(std::size_t length) {
  KAKEYA_CHECK(length >= committed_ && length <= this->length());
  drop_rows(length);
}

void PackedCache::truncate(std::size_t length) {
  KAKEYA_CHECK(length <= this->length());
  committed_ = std::min(committed_, length);
  drop_rows(length);
}

void PackedCache::reset() {
  committed_ = 0;
  drop_rows(0);
}

void PackedCache::read_row(const kernels::Compute& compute, std::size_t index, std::size_t head, bool value,
                           std::size_t position, std::span<float> out) const {
  KAKEYA_CHECK(index < layers_.size() && head < shape_.kv_heads && out.size() == shape_.head_dim);
  const LayerStore& layer = layers_[index];
  KAKEYA_CHECK(position < layer.length);
  const RowStore& store = value ? layer.v : layer.k;
  layer.codec->decode(*compute.ops, store.pages.row(head, position), store.side[head], out);
}

Ledger PackedCache::ledger() const {
  Ledger out;
  std::size_t channel_bytes = 0;
  std::size_t channel_capacity = 0;
  for (const LayerStore& layer : layers_) {
    for (const RowStore* store : {&layer.k, &layer.v}) {
      const std::size_t capacity = store->pages.capacity_tokens() * shape_.kv_heads;
      out.codes_bytes += store->pages.allocated_bytes();
      out.vectors_capacity += capacity;
      out.vectors_stored += layer.length * shape_.kv_heads;
      for (const SideRows& side : store->side) out.side_bytes += side.capacity();
      if (!layer.uses_channel) continue;
      channel_bytes += store->pages.allocated_bytes();
      channel_capacity += capacity;
    }
  }
  for (const AttendScratch& scratch : scratch_) out.scratch_bytes += scratch.allocated_bytes();
  out.scratch_bytes += partials_.capacity() * sizeof(float);
  out.peak_bytes = std::max(peak_bytes_, out.codes_bytes + out.side_bytes + out.scratch_bytes);
  out.bits_formula = codec_->formula_bits();
  if (channel_capacity > 0) {
    out.bits_allocated = 8.0 * static_cast<double>(channel_bytes) / static_cast<double>(channel_capacity);
  }
  return out;
}

void PackedCache::note_peak() { peak_bytes_ = ledger().peak_bytes; }

}  // namespace kakeya::kv
