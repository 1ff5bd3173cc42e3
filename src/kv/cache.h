// The KV cache of one sequence: pages of packed rows, the verbs append / commit / rewind, and attention on
// the packed rows. K is stored after RoPE. No bf16 copy of a compressed cache exists at any time.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "kv/channel.h"

namespace kakeya::kv {

struct KvShape {
  std::size_t layers = 0;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;
};

struct CacheOptions {
  Channel channel;
  int boundary = 0;            // the first and last `boundary` layers stay bf16
  std::size_t max_tokens = 0;  // append beyond it is an error, not a reallocation surprise
  // A query row that sees at least this many positions takes the channel's fast attention, where it has one
  // (queries and weights rounded, docs/formats/kv-pages.md); all others the exact one. A property of the row
  // alone, so results stay batch-invariant.
  std::size_t fast_attention_from = static_cast<std::size_t>(-1);
};

// Real allocations in bytes, counted where they happen. Steady = held now; peak = most ever held.
struct Ledger {
  std::size_t codes_bytes = 0;    // pages of packed rows (K and V)
  std::size_t side_bytes = 0;     // wide rows
  std::size_t scratch_bytes = 0;  // score and tile buffers
  std::size_t peak_bytes = 0;
  std::size_t vectors_capacity = 0;  // K and V vectors the pages have room for
  std::size_t vectors_stored = 0;
  // Allocated bits per vector over the layers that use the channel: codes_bytes * 8 / vectors_capacity there.
  double bits_allocated = 0;
  double bits_formula = 0;
};

struct LayerCounters {
  std::uint64_t codec_fired_calls = 0, codec_fired_vectors = 0;  // appends through the channel's codec
  std::uint64_t skip_fired_calls = 0, skip_fired_vectors = 0;    // appends kept in bf16 by `boundary`
};

// Positions [first, last) a query row may see.
struct Visible {
  std::size_t first = 0;
  std::size_t last = 0;
};

struct AttendRequest {
  std::size_t layer = 0;
  Rows<const float> queries;         // [rows, heads * head_dim], after RoPE
  std::span<const Visible> visible;  // one per row; last <= length(layer)
  float scale = 1.0f;                // head_dim^-0.5
  Rows<float> out;                   // [rows, heads * head_dim]
};

class Cache {
 public:
  // Errors: kUnsupported (channel and head_dim do not fit), kInvalidArgument.
  static Result<std::unique_ptr<Cache>> create(const KvShape& shape, const CacheOptions& options);
  virtual ~Cache() = default;

  virtual const KvShape& shape() const = 0;
  virtual std::string layer_channel(std::size_t layer) const = 0;  // the channel in effect
  virtual std::size_t max_tokens() const = 0;
  // Tokens whose rows every layer holds.
  virtual std::size_t length() const = 0;
  virtual std::size_t committed() const = 0;

  // Adds rows at the end of one layer: k and v are [n, kv_heads * head_dim]. Layers are appended one by one;
  // length() counts the shortest layer. Errors: kNumeric (NaN or infinity), kOutOfMemory (max_tokens).
  // After an error the layer is as before the call.
  virtual Status append(const kernels::Compute& compute, std::size_t layer, Rows<const float> k,
                        Rows<const float> v) = 0;
  // Rows below `length` are settled: rewind_to below it is a programming error except through reset().
  virtual void commit(std::size_t length) = 0;
  // Drops rows at `length` and beyond in every layer; bytes, lengths and side rows are as if never appended.
  virtual void rewind_to(std::size_t length) = 0;
  // Empty again, pages kept; counters kept.
  virtual void reset() = 0;
  // Drops rows at `length` and beyond although they are committed (a prefix is reused).
  virtual void truncate(std::size_t length) = 0;

  // Makes the cache `length` >= length() tokens long by repeating its rows from the first on, as they are
  // packed: a long context for measurements, without computing one. Every layer holds length() >= 1 rows. The
  // codec counters stay. Errors: kOutOfMemory (max_tokens); the cache is then as before.
  virtual Status repeat_rows(const kernels::Compute& compute, std::size_t length) = 0;

  // The packed rows of positions [0, length) of every layer as they are stored, wide rows included, appended
  // to `out`. length <= length(). Layout: docs/formats/session.md.
  virtual void save_rows(std::size_t length, std::vector<std::byte>& out) const = 0;
  // Replaces what the cache holds by rows that save_rows wrote from a cache of the same shape, channel and
  // boundary; they are committed. Any bytes are safe: rows they make up give meaningless attention, or a
  // kNumeric error there. The codec counters stay. Errors: kCorruptData naming layer, found and expected;
  // kOutOfMemory (max_tokens). The cache is empty after an error.
  virtual Status load_rows(std::span<const std::byte> rows, std::size_t length) = 0;

  // Softmax attention of every query row over the rows it may see, in fp32, on packed rows.
  // Grouped queries: query head h reads KV head h / (heads / kv_heads). Rows with an empty range get zeros.
  // Errors: kNumeric when a score is NaN.
  virtual Status attend(const kernels::Compute& compute, const AttendRequest& request) = 0;

  // The stored row as a reader sees it, [head_dim]; for tests and tools.
  virtual void read_row(const kernels::Compute& compute, std::size_t layer, std::size_t head, bool value,
                        std::size_t position, std::span<float> out) const = 0;

  virtual Ledger ledger() const = 0;
  virtual const std::vector<LayerCounters>& counters() const = 0;
};

}  // namespace kakeya::kv
