// The one implementation of Cache, visible to the sources and tests of this folder only.
#pragma once
#include <memory>
#include <new>
#include <vector>

#include "kv/cache.h"
#include "kv/page_list.h"

namespace kakeya::kv {

// Positions are attended in segments of this many; each segment has its own softmax and the segments of a row
// are merged in order. Fixed, so that neither threads nor the other rows of a call change a row's result.
constexpr std::size_t kSegmentTokens = 512;
// Rows unpacked at a time; a tile of 32 x 128 floats stays in the first-level cache.
constexpr std::size_t kRunTokens = 32;
// Query rows (rows x grouped heads) that share one unpacking.
constexpr std::size_t kChunkRows = 64;
static_assert(kSegmentTokens % kPageTokens == 0 && kPageTokens % kRunTokens == 0);

// K or V of one layer.
struct RowStore {
  PageList pages;
  std::vector<SideRows> side;             // one per head
  std::vector<std::size_t> settled_side;  // bytes of side[head] that belong to rows below the layer's length
};

struct LayerStore {
  const RowCodec* codec = nullptr;
  bool uses_channel = false;  // false for layers that `boundary` keeps in bf16
  std::size_t length = 0;
  RowStore k, v;
};

// The side rows as they are now belong to the layer's rows. True when their number changed.
bool settle_side(LayerStore& layer);

// Floats on a cache line's start: vector loads then never cross lines.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};
using AlignedFloats = std::vector<float, LineAllocator<float>>;
using AlignedCodes = std::vector<std::int8_t, LineAllocator<std::int8_t>>;

// Softmax-weighted sums over some positions, not yet normalised; views into someone's buffer.
struct Partial {
  Rows<float> sums;          // [rows, head_dim], in the codec's domain
  float* largest = nullptr;  // [rows] largest score; meaningless while weight is 0
  float* weight = nullptr;   // [rows] sum of exp(score - largest); 0 = nothing seen
};

// Work buffers of one thread. They grow to the largest chunk seen and stay.
struct AttendScratch {
  AlignedFloats queries;      // [chunk, head_dim], rotated
  AlignedFloats scores;       // [chunk, kSegmentTokens]
  AlignedFloats tile;         // [kRunTokens, head_dim]
  AlignedFloats scales;       // [kRunTokens], fast attention [kSegmentTokens]
  AlignedFloats segment;      // a Partial: [chunk, head_dim + 2]
  AlignedFloats total;        // a Partial: [chunk, head_dim + 2]
  std::vector<Visible> seen;  // [chunk] what each row sees of the segment at hand
  // Fast attention alone.
  AlignedCodes query_codes;    // [chunk, head_dim] as kernels::PairRows
  AlignedFloats query_steps;   // [chunk]
  AlignedCodes query_columns;  // as CodeProducts::columns lays them out
  AlignedCodes codes;          // [kSegmentTokens, head_dim], of CodeProducts::code_bytes
  AlignedCodes weight_codes;   // [chunk, kSegmentTokens] as kernels::PairRows
  AlignedFloats weight_steps;  // [chunk]
  base::LineRequests wanted;   // rows of the segment after the one at hand

  std::size_t allocated_bytes() const;
};

class PackedCache final : public Cache {
 public:
  PackedCache(const KvShape& shape, const CacheOptions& options, std::unique_ptr<RowCodec> codec,
              std::unique_ptr<RowCodec> plain);

  const KvShape& shape() const override { return shape_; }
  std::string layer_channel(std::size_t layer) const override;
  std::size_t max_tokens() const override { return options_.max_tokens; }
  std::size_t length() const override;
  std::size_t committed() const override { return committed_; }
  Status append(const kernels::Compute& compute, std::size_t layer, Rows<const float> k,
                Rows<const float> v) override;
  void commit(std::size_t length) override;
  void rewind_to(std::size_t length) override;
  void reset() override;
  void truncate(std::size_t length) override;
  Status repeat_rows(const kernels::Compute& compute, std::size_t length) override;
  void save_rows(std::size_t length, std::vector<std::byte>& out) const override;
  Status load_rows(std::span<const std::byte> rows, std::size_t length) override;
  Status attend(const kernels::Compute& compute, const AttendRequest& request) override;
  void read_row(const kernels::Compute& compute, std::size_t layer, std::size_t head, bool value,
                std::size_t position, std::span<float> out) const override;
  Ledger ledger() const override;
  const std::vector<LayerCounters>& counters() const override { return counters_; }

  const LayerStore& layer_store(std::size_t layer) const { return layers_[layer]; }

 private:
  Status encode_head(const kernels::Table& ops, const LayerStore& layer, RowStore& store,
                     Rows<const float> rows, std::size_t head);
  bool is_fast(const kernels::Table& ops, const LayerStore& layer, Visible seen) const;
  Status attend_rows(const kernels::Compute& compute, const AttendRequest& request, std::size_t first_row,
                     bool fast);
  void drop_rows(std::size_t length);
  void note_peak();

  KvShape shape_;
  CacheOptions options_;
  std::unique_ptr<RowCodec> codec_;
  std::unique_ptr<RowCodec> plain_;  // bf16, for the layers of `boundary`
  PagePool pool_;                    // of all pages of all layers
  std::vector<LayerStore> layers_;
  std::vector<LayerCounters> counters_;
  std::vector<AttendScratch> scratch_;  // one per thread
  std::vector<float> partials_;         // segments spread over threads
  std::size_t committed_ = 0;
  std::size_t peak_bytes_ = 0;
};

}  // namespace kakeya::kv
