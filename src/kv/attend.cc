// Attention on packed rows: how a call is cut into tasks. The sums are in attend_segment.cc.
//
// A row's result depends on its own query and range only: positions are cut at absolute multiples of
// kSegmentTokens, every segment is summed in position order and segments are merged in order.
#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "kv/attend_job.h"

namespace kakeya::kv {
namespace {

// Segments are spread over threads only while their partial results stay below this.
constexpr std::size_t kMaxPartialFloats = std::size_t{2} << 20;

AttendTask make_task(const AttendJob& job, std::size_t index) {
  AttendTask task = {};
  task.kv_head = index % job.kv_heads;
  task.first_row = index / job.kv_heads * job.rows_per_chunk;
  task.rows = std::min(job.rows_per_chunk, job.request.queries.rows - task.first_row);
  task.query_rows = task.rows * job.group;
  task.range = {kNone, 0};
  for (std::size_t i = 0; i < task.rows; ++i) {
    const Visible seen = job.request.visible[task.first_row + i];
    if (empty(seen)) continue;
    task.range = {std::min(task.range.first, seen.first), std::max(task.range.last, seen.last)};
  }
  return task;
}

// Keeps the lowest bad row of all tasks, so that the message does not depend on the threads.
void note_bad(std::atomic<std::size_t>& bad_row, std::size_t row) {
  std::size_t seen = bad_row.load();
  while (row < seen && !bad_row.compare_exchange_weak(seen, row)) {
  }
}

// All segments of one task, one after another. Returns the row with a bad score, or kNone.
std::size_t attend_task(const AttendJob& job, const AttendTask& task, AttendScratch& scratch) {
  const Partial total = view_partial(job, scratch.total.data());
  const Partial part = view_partial(job, scratch.segment.data());
  clear(total);
  if (!empty(task.range)) {
    const kernels::HeldUnit unit(job.products, task.query_rows);
    load_queries(job, task, scratch);
    for (std::size_t s = task.range.first / kSegmentTokens; s * kSegmentTokens < task.range.last; ++s) {
      const std::size_t bad = attend_segment(job, task, s, part, scratch);
      if (bad != kNone) return bad;
      merge(job, task, total, part);
    }
  }
  store_output(job, task, total);
  return kNone;
}

// One thread per KV head and chunk.
std::size_t attend_whole(const kernels::Compute& compute, const AttendJob& job,
                         std::vector<AttendScratch>& scratch) {
  std::atomic<std::size_t> bad_row = kNone;
  compute.pool->parallel_for(job.tasks, [&](std::size_t index, int thread) {
    note_bad(bad_row, attend_task(job, make_task(job, index), scratch[static_cast<std::size_t>(thread)]));
  });
  return bad_row;
}

// Few heads and long rows: the segments of a task go to different threads and are merged in order afterwards,
// with the same sums as in attend_whole.
std::size_t attend_spread(const kernels::Compute& compute, const AttendJob& job,
                          std::vector<AttendScratch>& scratch, std::vector<float>& partials) {
  std::atomic<std::size_t> bad_row = kNone;
  const auto partial = [&](std::size_t task, std::size_t segment) {
    return view_partial(job, partials.data() + (task * job.segments + segment) * partial_floats(job));
  };
  compute.pool->parallel_for(job.tasks * job.segments, [&](std::size_t index, int thread) {
    const AttendTask task = make_task(job, index / job.segments);
    const std::size_t segment = index % job.segments;
    const Partial part = partial(index / job.segments, segment);
    clear(part);
    if (empty(intersect(task.range, segment_range(segment)))) return;
    AttendScratch& own = scratch[static_cast<std::size_t>(thread)];
    const kernels::HeldUnit unit(job.products, task.query_rows);
    load_queries(job, task, own);
    note_bad(bad_row, attend_segment(job, task, segment, part, own));
  });
  if (bad_row != kNone) return bad_row;
  compute.pool->parallel_for(job.tasks, [&](std::size_t index, int thread) {
    const AttendTask task = make_task(job, index);
    const Partial total = view_partial(job, scratch[static_cast<std::size_t>(thread)].total.data());
    clear(total);
    for (std::size_t s = 0; s < job.segments; ++s) merge(job, task, total, partial(index, s));
    store_output(job, task, total);
  });
  return kNone;
}

// True when a buffer had to grow.
bool reserve_scratch(const AttendJob& job, AttendScratch& scratch) {
  bool grew = false;
  const auto grow = [&grew](auto& buffer, std::size_t n) {
    if (buffer.size() >= n) return;
    buffer.resize(n);
    grew = true;
  };
  grow(scratch.queries, job.chunk_rows * job.dim);
  grow(scratch.scores, job.chunk_rows * kSegmentTokens);
  grow(scratch.tile, kRunTokens * job.dim);
  grow(scratch.scales, kRunTokens);
  grow(scratch.segment, partial_floats(job));
  grow(scratch.total, partial_floats(job));
  grow(scratch.seen, job.chunk_rows);
  if (job.products == nullptr) return grew;
  grow(scratch.scales, kSegmentTokens);
  const std::size_t code_bytes = job.products->code_bytes;
  const std::size_t chunk_rows =
      ceil_to(job.chunk_rows, kernels::PairRows{.part_bytes = code_bytes}.group_size());
  grow(scratch.query_codes, 2 * chunk_rows * job.dim * code_bytes);
  grow(scratch.query_steps, job.chunk_rows);
  if (job.products->columns != nullptr)
    grow(scratch.query_columns,
         kernels::column_bytes({.rows = job.products->most_row_queries, .cols = job.dim}));
  grow(scratch.codes, kSegmentTokens * job.dim * code_bytes);
  grow(scratch.weight_codes, 2 * chunk_rows * kSegmentTokens * code_bytes);
  grow(scratch.weight_steps, job.chunk_rows);
  return grew;
}

AttendJob make_job(const kernels::Table& ops, const AttendRequest& request, const LayerStore& layer,
                   const KvShape& shape) {
  AttendJob job = {ops, request, layer, shape.head_dim, shape.kv_heads, 0, 0, 0, 0, 0};
  job.group = request.queries.cols / (shape.kv_heads * shape.head_dim);
  job.rows_per_chunk = std::max<std::size_t>(1, std::min(kChunkRows / job.group, request.queries.rows));
  job.chunk_rows = job.rows_per_chunk * job.group;
  job.tasks = job.kv_heads * ((request.queries.rows + job.rows_per_chunk - 1) / job.rows_per_chunk);
  for (const Visible& seen : request.visible) {
    if (!empty(seen))
      job.segments = std::max(job.segments, (seen.last + kSegmentTokens - 1) / kSegmentTokens);
  }
  return job;
}

}  // namespace

std::size_t AttendScratch::allocated_bytes() const {
  return sizeof(float) *
             (queries.capacity() + scores.capacity() + tile.capacity() + scales.capacity() +
              segment.capacity() + total.capacity() + query_steps.capacity() + weight_steps.capacity()) +
         query_codes.capacity() + query_columns.capacity() + codes.capacity() + weight_codes.capacity() +
         sizeof(Visible) * seen.capacity();
}

Status PackedCache::attend(const kernels::Compute& compute, const AttendRequest& request) {
  const std::size_t width = shape_.kv_heads * shape_.head_dim;
  KAKEYA_CHECK(request.layer < layers_.size() && request.queries.cols > 0 &&
               request.queries.cols % width == 0);
  KAKEYA_CHECK(request.out.rows == request.queries.rows && request.out.cols == request.queries.cols);
  KAKEYA_CHECK(request.visible.size() == request.queries.rows);
  const LayerStore& layer = layers_[request.layer];
  for (const Visible& seen : request.visible) KAKEYA_CHECK(empty(seen) || seen.last <= layer.length);

  // Fast and exact rows go apart: what a row gets depends on itself alone.
  for (std::size_t first = 0; first < request.queries.rows;) {
    const bool fast = is_fast(*compute.ops, layer, request.visible[first]);
    std::size_t last = first + 1;
    while (last < request.queries.rows && is_fast(*compute.ops, layer, request.visible[last]) == fast) ++last;
    const AttendRequest part = {request.layer, request.queries.sub(first, last - first),
                                request.visible.subspan(first, last - first), request.scale,
                                request.out.sub(first, last - first)};
    KAKEYA_TRY(attend_rows(compute, part, first, fast));
    first = last;
  }
  return {};
}

bool PackedCache::is_fast(const kernels::Table& ops, const LayerStore& layer, Visible seen) const {
  return !empty(seen) && seen.last - seen.first >= options_.fast_attention_from &&
         layer.codec->code_products(ops) != nullptr;
}

Status PackedCache::attend_rows(const kernels::Compute& compute, const AttendRequest& request,
                                std::size_t first_row, bool fast) {
  const LayerStore& layer = layers_[request.layer];
  AttendJob job = make_job(*compute.ops, request, layer, shape_);
  if (fast) job.products = layer.codec->code_products(*compute.ops);
  const auto threads = static_cast<std::size_t>(compute.pool->threads());
  bool grew = scratch_.size() < threads;
  if (grew) scratch_.resize(threads);
  for (AttendScratch& scratch : scratch_) grew = reserve_scratch(job, scratch) || grew;
  const std::size_t partials = job.tasks * job.segments * partial_floats(job);
  const bool spread = job.tasks < threads && job.segments > 1 && partials <= kMaxPartialFloats;
  if (spread && partials_.size() < partials) {
    partials_.resize(partials);
    grew = true;
  }
  if (grew) note_peak();

  const std::size_t bad_row =
      spread ? attend_spread(compute, job, scratch_, partials_) : attend_whole(compute, job, scratch_);
  if (bad_row != kNone) {
    return Error{ErrorCode::kNumeric, "KV cache, attention in layer " + std::to_string(request.layer) +
                                          ": a score of query row " + std::to_string(first_row + bad_row) +
                                          " is not a finite number"};
  }
  return {};
}

}  // namespace kakeya::kv
