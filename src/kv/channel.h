// A KV channel is a name that says how rows of K and V are stored. One registry; help, parsing, benches
// and tests iterate it. Adding a channel: docs/howto/add-a-kv-channel.md.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/line_requests.h"
#include "kernels/code_products.h"
#include "kernels/kernels.h"

namespace kakeya::kv {

// Bytes of rows that did not fit their fixed-size slot (see docs/formats/kv-e8.md, "wide rows").
// Kept per page list of one layer and head; truncated by rewind. Most channels never use it.
using SideRows = std::vector<std::byte>;

// Of kernels::CodeProducts: keys for scores, for row_scores, and values.
enum class CodeLayout { kKeyBlocks, kKeyRows, kValues };

// How one row of head_dim values is stored. Immutable and shared by all layers and threads.
//
// Attention works in the codec's own domain: a cached row equals scale * (tile * H) for rotated channels and
// scale * tile for the others, H being the orthonormal Hadamard matrix. So the cache rotates a query
// once, dots it with tiles, sums values in the same domain and rotates the output once.
class RowCodec {
 public:
  virtual ~RowCodec() = default;

  virtual std::size_t dim() const = 0;
  virtual std::size_t row_bytes() const = 0;  // bytes one vector occupies in a page, headers included
  virtual double formula_bits() const = 0;    // what the method's formula promises per vector
  virtual bool rotated() const = 0;

  // Stores one row. `row` has row_bytes(); a row that needs more appends to `side`.
  // Errors: kNumeric when x holds NaN or infinity. Norms beyond fp16 saturate at the largest fp16.
  virtual Status encode(const kernels::Table& ops, std::span<const float> x, std::byte* row,
                        SideRows& side) const = 0;

  // encode() for x.rows rows that go row_bytes() apart. On an error *failed is the row it is about; later
  // rows are undefined and earlier ones stored.
  virtual Status encode_rows(const kernels::Table& ops, Rows<const float> x, std::byte* rows, SideRows& side,
                             std::size_t* failed) const;

  // Unpacks rows [0, n) that lie row_bytes() apart: tile [n, dim] and scale [n], in the codec's domain.
  virtual void unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n,
                      std::span<const std::byte> side, Rows<float> tile, float* scales) const = 0;

  // Fast attention: the products that take this codec's rows as codes (their layouts of keys and values);
  // null where the codec or the CPU has none.
  virtual const kernels::CodeProducts* code_products(const kernels::Table& ops) const {
    (void)ops;
    return nullptr;
  }
  // Row i of `rows` is scales[i] times codes, or codes * H, for i in [0, n), 1 <= n <= 64; scales [64] are
  // any numbers beyond. `out` [64, dim] holds any finite codes there. Nothing at or after `end` is read. As
  // many bytes of `wanted` are asked for meanwhile.
  virtual void unpack_codes(const kernels::Table& ops, CodeLayout layout, const std::byte* rows,
                            std::size_t n, const std::byte* end, std::span<const std::byte> side,
                            base::LineRequests& wanted, std::int8_t* out, float* scales) const;

  // Values of unpack_codes may have their dims in another order: puts weighted sums of them, [dim], in that
  // of the row.
  virtual void order_sums(const kernels::Table& ops, float* sums) const {
    (void)ops;
    (void)sums;
  }

  // The row as a reader without shortcuts sees it, in the original domain (the oracle of attention tests).
  virtual void decode(const kernels::Table& ops, const std::byte* row, std::span<const std::byte> side,
                      std::span<float> out) const = 0;

  // `to` becomes the row `from` of the same side rows, as if it were encoded again.
  virtual void copy_row(const std::byte* from, std::byte* to, SideRows& side) const;

  // Bytes that `row` owns at the end of `side`, 0 for most rows. rewind uses it to truncate.
  virtual std::size_t side_bytes(const std::byte* row) const {
    (void)row;
    return 0;
  }
  // Where in `side` they start, as the row says it; of rows that own some. Rows own `side` in their order and
  // without gaps.
  virtual std::uint64_t side_offset(const std::byte* row) const {
    (void)row;
    return 0;
  }
};

// kNumeric: what every codec's encode answers when value `index` of its row is NaN or infinite.
Error non_finite_row(std::size_t index);

// One family of channels in the registry.
struct ChannelFamily {
  const char* pattern;                // "bf16", "e8-qN"
  const char* lattice;                // "e8", "d4" or "" for channels that are no lattice
  const char* help;                   // one line for --help
  std::vector<std::string> examples;  // names that benches and parametrised tests iterate
  // Does `name` belong to this family? Sets *q (0 when the family has no range parameter).
  bool (*matches)(std::string_view name, int* q);
  // Errors: kUnsupported naming channel, head_dim and the rule it breaks.
  Result<std::unique_ptr<RowCodec>> (*make)(std::string_view name, int q, std::size_t head_dim);
};

std::span<const ChannelFamily> channel_families();

struct Channel {
  std::string name;
  const ChannelFamily* family = nullptr;
  int q = 0;
};

// Errors: kInvalidArgument that lists the known patterns.
Result<Channel> parse_channel(std::string_view name);
Result<std::unique_ptr<RowCodec>> make_codec(const Channel& channel, std::size_t head_dim);

}  // namespace kakeya::kv
