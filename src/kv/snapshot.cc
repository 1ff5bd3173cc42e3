// Rows of a cache as bytes and back, as they are packed. Layout: docs/formats/session.md.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/checked_math.h"
#include "kv/packed_cache.h"

namespace kakeya::kv {
namespace {

// Calls fn(store, head) for K, then V, of every head of a layer: the order of the bytes.
template <class Layer, class F>
void for_each_head(Layer& layer, std::size_t heads, F fn) {
  for (std::size_t head = 0; head < heads; ++head) fn(layer.k, head);
  for (std::size_t head = 0; head < heads; ++head) fn(layer.v, head);
}

// Calls fn(position, n) for the parts of [0, length) that lie in one page each.
template <class F>
void for_each_page(std::size_t length, F fn) {
  for (std::size_t position = 0; position < length; position += kPageTokens) {
    fn(position, std::min(kPageTokens, length - position));
  }
}

// Side bytes of the rows of `head` below `length`.
std::size_t side_bytes_below(const RowCodec& codec, const RowStore& store, std::size_t head,
                             std::size_t length) {
  std::size_t bytes = 0;
  if (store.side[head].empty()) return bytes;
  for (std::size_t t = 0; t < length; ++t) bytes += codec.side_bytes(store.pages.row(head, t));
  return bytes;
}

// Takes the bytes of one head after the other off the front of a snapshot.
class Reader {
 public:
  struct Head {
    std::span<const std::byte> rows, side;
  };

  Reader(std::span<const std::byte> bytes, std::size_t length) : rest_(bytes), length_(length) {}

  // `where` names layer, K or V and head.
  Result<Head> next(const RowCodec& codec, const std::string& where) {
    const auto row_bytes = base::checked_mul(length_, codec.row_bytes());
    KAKEYA_ASSIGN(const auto rows, take(row_bytes.value_or(rest_.size() + 1), where, " of rows"));
    std::size_t side_bytes = 0;
    for (std::size_t t = 0; t < length_; ++t) {
      const std::byte* row = rows.data() + t * codec.row_bytes();
      const std::size_t owned = codec.side_bytes(row);
      if (owned == 0) continue;
      const std::uint64_t offset = codec.side_offset(row);
      if (offset != side_bytes) {
        return corrupt_data(where + ", position " + std::to_string(t) + ": the wide row's points start at " +
                            std::to_string(offset) + " of the side bytes, expected " +
                            std::to_string(side_bytes));
      }
      side_bytes += owned;
    }
    KAKEYA_ASSIGN(const auto side, take(side_bytes, where, " of wide rows"));
    return Head{rows, side};
  }

  std::size_t left() const { return rest_.size(); }

 private:
  Result<std::span<const std::byte>> take(std::uint64_t bytes, const std::string& where, const char* what) {
    if (bytes > rest_.size()) {
      return corrupt_data(where + ": found " + std::to_string(rest_.size()) + " bytes" + what +
                          ", expected " + std::to_string(bytes));
    }
    const auto out = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return out;
  }

  std::span<const std::byte> rest_;
  std::size_t length_;
};

// What `rows` hold for every head, or the first contradiction.
Result<std::vector<Reader::Head>> split_heads(const std::vector<LayerStore>& layers, std::size_t heads,
                                              std::span<const std::byte> rows, std::size_t length) {
  Reader reader(rows, length);
  std::vector<Reader::Head> out;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    for (std::size_t task = 0; task < 2 * heads; ++task) {
      const std::string where = "KV cache, loading rows: layer " + std::to_string(i) +
                                (task < heads ? ", K of head " : ", V of head ") +
                                std::to_string(task % heads);
      KAKEYA_ASSIGN(const Reader::Head head, reader.next(*layers[i].codec, where));
      out.push_back(head);
    }
  }
  if (reader.left() > 0) {
    return corrupt_data("KV cache, loading rows: layer " + std::to_string(layers.size() - 1) +
                        " is followed by " + std::to_string(reader.left()) + " bytes, expected 0");
  }
  return out;
}

}  // namespace

void PackedCache::save_rows(std::size_t length, std::vector<std::byte>& out) const {
  KAKEYA_CHECK(length <= this->length());
  std::size_t bytes = out.size();
  for (const LayerStore& layer : layers_) {
    bytes += 2 * shape_.kv_heads * length * layer.codec->row_bytes();
    for_each_head(layer, shape_.kv_heads, [&](const RowStore& store, std::size_t head) {
      bytes += store.side[head].size();  // an upper bound
    });
  }
  out.reserve(bytes);
  for (const LayerStore& layer : layers_) {
    const RowCodec& codec = *layer.codec;
    for_each_head(layer, shape_.kv_heads, [&](const RowStore& store, std::size_t head) {
      for_each_page(length, [&](std::size_t position, std::size_t n) {
        const std::byte* rows = store.pages.row(head, position);
        out.insert(out.end(), rows, rows + n * codec.row_bytes());
      });
      const std::byte* side = store.side[head].data();
      out.insert(out.end(), side, side + side_bytes_below(codec, store, head, length));
    });
  }
}

Status PackedCache::load_rows(std::span<const std::byte> rows, std::size_t length) {
  reset();
  if (length > options_.max_tokens) {
    return Error{ErrorCode::kOutOfMemory, "KV cache, loading rows: " + std::to_string(length) +
                                              " tokens, expected at most max_tokens, " +
                                              std::to_string(options_.max_tokens)};
  }
  // Everything is compared before anything is allocated: pages then take no more than about what came.
  KAKEYA_ASSIGN(const auto heads, split_heads(layers_, shape_.kv_heads, rows, length));
  for (LayerStore& layer : layers_) {
    if (!layer.k.pages.reserve(length) || !layer.v.pages.reserve(length)) {
      note_peak();
      return Error{ErrorCode::kOutOfMemory, "KV cache, loading rows: the system has no memory for " +
                                                std::to_string(length) + " tokens"};
    }
  }
  auto from = heads.begin();
  for (LayerStore& layer : layers_) {
    const std::size_t row_bytes = layer.codec->row_bytes();
    for_each_head(layer, shape_.kv_heads, [&](RowStore& store, std::size_t head) {
      for_each_page(length, [&](std::size_t position, std::size_t n) {
        std::memcpy(store.pages.row(head, position), from->rows.data() + position * row_bytes, n * row_bytes);
      });
      store.side[head].assign(from->side.begin(), from->side.end());
      ++from;
    });
    layer.length = length;
    settle_side(layer);
  }
  committed_ = length;
  note_peak();
  return {};
}

}  // namespace kakeya::kv
