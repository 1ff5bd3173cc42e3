// Attention on packed rows. Per KV head and chunk of query rows: rotate the queries once, unpack runs of rows
// into a tile that all queries of the chunk share, dot, softmax, accumulate the values in the codec's domain,
// rotate the output once (equations: docs/formats/kv-pages.md).
//
// A row's result depends on its own query and range only: positions are cut at absolute multiples of
// kSegmentTokens, every segment is summed in position order and segments are merged in order.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kv/packed_cache.h"

namespace kakeya::kv {
namespace {

// Segments are spread over threads only while their partial results stay below this.
constexpr std::size_t kMaxPartialFloats = std::size_t{2} << 20;
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

struct Job {
  const kernels::Table& ops;
  const AttendRequest& request;
  const LayerStore& layer;
  std::size_t dim;
  std::size_t kv_heads;
  std::size_t group;           // query heads per KV head
  std::size_t rows_per_chunk;  // of the request
  std::size_t chunk_rows;      // query rows of a full chunk: rows_per_chunk * group
  std::size_t tasks;           // KV heads x chunks of rows
  std::size_t segments;        // up to the last position that any row sees
};

// One KV head and one chunk of query rows: row i of the chunk is query head i % group of request row
// first_row + i / group.
struct Task {
  std::size_t kv_head;
  std::size_t first_row;
  std::size_t rows;  // of the request
  std::size_t query_rows;
  Visible range;  // union of what the rows see
};

std::size_t floor_to(std::size_t value, std::size_t step) { return value / step * step; }

Visible intersect(Visible a, Visible b) { return {std::max(a.first, b.first), std::min(a.last, b.last)}; }
bool empty(Visible v) { return v.first >= v.last; }

Visible segment_range(std::size_t segment) {
  return {segment * kSegmentTokens, (segment + 1) * kSegmentTokens};
}

Task make_task(const Job& job, std::size_t index) {
  Task task = {};
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

Partial view_partial(const Job& job, float* data) {
  float* tail = data + job.chunk_rows * job.dim;
  return {{data, job.chunk_rows, job.dim}, tail, tail + job.chunk_rows};
}
std::size_t partial_floats(const Job& job) { return job.chunk_rows * (job.dim + 2); }

std::size_t head_column(const Job& job, const Task& task, std::size_t i) {
  return (task.kv_head * job.group + i % job.group) * job.dim;
}

void load_queries(const Job& job, const Task& task, AttendScratch& scratch) {
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    float* query = scratch.queries.data() + i * job.dim;
    const float* source =
        job.request.queries.row(task.first_row + i / job.group).data() + head_column(job, task, i);
    std::copy_n(source, job.dim, query);
    if (job.layer.codec->rotated()) job.ops.hadamard(query, job.dim);
  }
}

// Unpacks the positions [run.first, run.last) of one head, all in one page.
void unpack_run(const Job& job, const Task& task, const RowStore& store, Visible run,
                AttendScratch& scratch) {
  const std::size_t n = run.last - run.first;
  job.layer.codec->unpack(job.ops, store.pages.row(task.kv_head, run.first), n, store.side[task.kv_head],
                          {scratch.tile.data(), n, job.dim}, scratch.scales.data());
}

// Calls fn(run) for the runs of `range`; runs end at multiples of kRunTokens, so none crosses a page.
template <class F>
void for_each_run(Visible range, F fn) {
  for (std::size_t first = range.first; first < range.last;) {
    const std::size_t last = std::min(range.last, floor_to(first, kRunTokens) + kRunTokens);
    fn(Visible{first, last});
    first = last;
  }
}

// Scores of all query rows of the task against the positions of `range`, which lies in one segment.
void score_segment(const Job& job, const Task& task, Visible range, AttendScratch& scratch) {
  const std::size_t base = floor_to(range.first, kSegmentTokens);
  const Rows<const float> queries(scratch.queries.data(), task.query_rows, job.dim);
  for_each_run(range, [&](Visible run) {
    unpack_run(job, task, job.layer.k, run, scratch);
    const std::size_t n = run.last - run.first;
    const kernels::Weight tile = {scratch.tile.data(), kernels::WeightType::kF32, n, job.dim};
    const Rows<float> scores(scratch.scores.data() + (run.first - base), task.query_rows, n, kSegmentTokens);
    job.ops.matmul_range(tile, queries, scores, 0, n);
    for (std::size_t j = 0; j < n; ++j) scratch.scales[j] *= job.request.scale;
    for (std::size_t i = 0; i < task.query_rows; ++i) {
      float* row = scores.row(i).data();
      for (std::size_t j = 0; j < n; ++j) row[j] *= scratch.scales[j];
    }
  });
}

// Scores -> exp(score - largest) per row over what the row sees. Returns the first row without a finite
// largest score, or kNone.
std::size_t weigh_segment(const Job& job, const Task& task, Visible range, const Partial& part,
                          AttendScratch& scratch) {
  const std::size_t base = floor_to(range.first, kSegmentTokens);
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    const Visible seen = intersect(job.request.visible[task.first_row + i / job.group], range);
    scratch.seen[i] = seen;
    part.weight[i] = 0.0f;
    part.largest[i] = 0.0f;
    if (empty(seen)) continue;
    float* scores = scratch.scores.data() + i * kSegmentTokens + (seen.first - base);
    const float largest = job.ops.row_max(scores, seen.last - seen.first);
    if (!std::isfinite(largest)) return i;
    part.largest[i] = largest;
    part.weight[i] = job.ops.exp_sum(scores, largest, seen.last - seen.first);
  }
  return kNone;
}

// part.sums[i] = sum over the positions row i sees of weight * value.
void sum_segment(const Job& job, const Task& task, Visible range, const Partial& part,
                 AttendScratch& scratch) {
  const std::size_t base = floor_to(range.first, kSegmentTokens);
  std::fill_n(part.sums.data, task.query_rows * job.dim, 0.0f);
  for_each_run(range, [&](Visible run) {
    unpack_run(job, task, job.layer.v, run, scratch);
    // Neighbours that see the same part of the run go together.
    for (std::size_t i = 0; i < task.query_rows;) {
      const Visible seen = intersect(scratch.seen[i], run);
      std::size_t end = i + 1;
      for (; end < task.query_rows; ++end) {
        const Visible other = intersect(scratch.seen[end], run);
        if (empty(seen) ? !empty(other) : other.first != seen.first || other.last != seen.last) break;
      }
      if (!empty(seen)) {
        const std::size_t n = seen.last - seen.first;
        const Rows<float> weights(scratch.scores.data() + i * kSegmentTokens + (seen.first - base), end - i,
                                  n, kSegmentTokens);
        for (std::size_t r = 0; r < weights.rows; ++r) {
          float* row = weights.row(r).data();
          for (std::size_t j = 0; j < n; ++j) row[j] *= scratch.scales[seen.first - run.first + j];
        }
        job.ops.weighted_sum(weights, {scratch.tile.data() + (seen.first - run.first) * job.dim, n, job.dim},
                             part.sums.sub(i, end - i));
      }
      i = end;
    }
  });
}

// The partial result of one segment. Returns the request's row with a bad score, or kNone.
std::size_t attend_segment(const Job& job, const Task& task, std::size_t segment, const Partial& part,
                           AttendScratch& scratch) {
  const Visible range = intersect(task.range, segment_range(segment));
  score_segment(job, task, range, scratch);
  const std::size_t bad = weigh_segment(job, task, range, part, scratch);
  if (bad != kNone) return task.first_row + bad / job.group;
  sum_segment(job, task, range, part, scratch);
  return kNone;
}

// total = total merged with the next segment, row by row.
void merge(const Job& job, const Task& task, const Partial& total, const Partial& next) {
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    if (next.weight[i] == 0.0f) continue;
    float* sums = total.sums.row(i).data();
    const float* next_sums = next.sums.row(i).data();
    if (total.weight[i] == 0.0f) {
      std::copy_n(next_sums, job.dim, sums);
      total.largest[i] = next.largest[i];
      total.weight[i] = next.weight[i];
      continue;
    }
    const float largest = std::max(total.largest[i], next.largest[i]);
    const float keep = std::exp(total.largest[i] - largest);
    const float add = std::exp(next.largest[i] - largest);
    for (std::size_t d = 0; d < job.dim; ++d) sums[d] = sums[d] * keep + next_sums[d] * add;
    total.largest[i] = largest;
    total.weight[i] = total.weight[i] * keep + next.weight[i] * add;
  }
}

void store_output(const Job& job, const Task& task, const Partial& total) {
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    float* out = job.request.out.row(task.first_row + i / job.group).data() + head_column(job, task, i);
    if (total.weight[i] == 0.0f) {
      std::fill_n(out, job.dim, 0.0f);
      continue;
    }
    const float* sums = total.sums.row(i).data();
    const float scale = 1.0f / total.weight[i];
    for (std::size_t d = 0; d < job.dim; ++d) out[d] = sums[d] * scale;
    if (job.layer.codec->rotated()) job.ops.hadamard(out, job.dim);
  }
}

void clear(const Partial& partial) { std::fill_n(partial.weight, partial.sums.rows, 0.0f); }

// Keeps the lowest bad row of all tasks, so that the message does not depend on the threads.
void note_bad(std::atomic<std::size_t>& bad_row, std::size_t row) {
  std::size_t seen = bad_row.load();
  while (row < seen && !bad_row.compare_exchange_weak(seen, row)) {
  }
}

// All segments of one task, one after another. Returns the row with a bad score, or kNone.
std::size_t attend_task(const Job& job, const Task& task, AttendScratch& scratch) {
  const Partial total = view_partial(job, scratch.total.data());
  const Partial part = view_partial(job, scratch.segment.data());
  clear(total);
  if (!empty(task.range)) {
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
std::size_t attend_whole(const kernels::Compute& compute, const Job& job,
                         std::vector<AttendScratch>& scratch) {
  std::atomic<std::size_t> bad_row = kNone;
  compute.pool->parallel_for(job.tasks, [&](std::size_t index, int thread) {
    note_bad(bad_row, attend_task(job, make_task(job, index), scratch[static_cast<std::size_t>(thread)]));
  });
  return bad_row;
}

// Few heads and long rows: the segments of a task go to different threads and are merged in order afterwards,
// with the same sums as in attend_whole.
std::size_t attend_spread(const kernels::Compute& compute, const Job& job,
                          std::vector<AttendScratch>& scratch, std::vector<float>& partials) {
  std::atomic<std::size_t> bad_row = kNone;
  const auto partial = [&](std::size_t task, std::size_t segment) {
    return view_partial(job, partials.data() + (task * job.segments + segment) * partial_floats(job));
  };
  compute.pool->parallel_for(job.tasks * job.segments, [&](std::size_t index, int thread) {
    const Task task = make_task(job, index / job.segments);
    const std::size_t segment = index % job.segments;
    const Partial part = partial(index / job.segments, segment);
    clear(part);
    if (empty(intersect(task.range, segment_range(segment)))) return;
    AttendScratch& own = scratch[static_cast<std::size_t>(thread)];
    load_queries(job, task, own);
    note_bad(bad_row, attend_segment(job, task, segment, part, own));
  });
  if (bad_row != kNone) return bad_row;
  compute.pool->parallel_for(job.tasks, [&](std::size_t index, int thread) {
    const Task task = make_task(job, index);
    const Partial total = view_partial(job, scratch[static_cast<std::size_t>(thread)].total.data());
    clear(total);
    for (std::size_t s = 0; s < job.segments; ++s) merge(job, task, total, partial(index, s));
    store_output(job, task, total);
  });
  return kNone;
}

// True when a buffer had to grow.
bool reserve_scratch(const Job& job, AttendScratch& scratch) {
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
  return grew;
}

Job make_job(const kernels::Table& ops, const AttendRequest& request, const LayerStore& layer,
             const KvShape& shape) {
  Job job = {ops, request, layer, shape.head_dim, shape.kv_heads, 0, 0, 0, 0, 0};
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
  return sizeof(float) * (queries.capacity() + scores.capacity() + tile.capacity() + scales.capacity() +
                          segment.capacity() + total.capacity()) +
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
  if (request.queries.rows == 0) return {};

  const Job job = make_job(*compute.ops, request, layer, shape_);
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
                                          ": a score of query row " + std::to_string(bad_row) +
                                          " is not a finite number"};
  }
  return {};
}

}  // namespace kakeya::kv
