// Attention of one chunk of query rows over one segment of positions: rotate the queries once, unpack runs of
// rows into a tile that all queries of the chunk share, dot, softmax, accumulate the values in the codec's
// domain, rotate the output once (equations: docs/formats/kv-pages.md).
#include <algorithm>
#include <cmath>

#include "kv/attend_job.h"

namespace kakeya::kv {
namespace {

std::size_t floor_to(std::size_t value, std::size_t step) { return value / step * step; }

std::size_t head_column(const AttendJob& job, const AttendTask& task, std::size_t i) {
  return (task.kv_head * job.group + i % job.group) * job.dim;
}

// Unpacks the positions [run.first, run.last) of one head, all in one page.
void unpack_run(const AttendJob& job, const AttendTask& task, const RowStore& store, Visible run,
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
void score_segment(const AttendJob& job, const AttendTask& task, Visible range, AttendScratch& scratch) {
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

// part.sums[i] = sum over the positions row i sees of weight * value.
void sum_segment(const AttendJob& job, const AttendTask& task, Visible range, const Partial& part,
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

// sums = sums * keep + next * add. Steps of a fixed size, so that the compiler takes several values at a
// time.
void add_scaled(float* __restrict sums, float keep, const float* __restrict next, float add, std::size_t n) {
  constexpr std::size_t kStep = 16;
  std::size_t d = 0;
  for (; d + kStep <= n; d += kStep) {
    for (std::size_t i = d; i < d + kStep; ++i) sums[i] = sums[i] * keep + next[i] * add;
  }
  for (; d < n; ++d) sums[d] = sums[d] * keep + next[d] * add;
}

}  // namespace

std::size_t weigh_segment(const AttendJob& job, const AttendTask& task, Visible range, const Partial& part,
                          AttendScratch& scratch) {
  const std::size_t base = floor_to(range.first, kSegmentTokens);
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    const Visible seen = intersect(job.request.visible[task.first_row + i / job.group], range);
    scratch.seen[i] = seen;
    part.weight[i] = 0.0f;
    part.largest[i] = 0.0f;
    if (empty(seen)) continue;
    stir(job);
    float* scores = scratch.scores.data() + i * kSegmentTokens + (seen.first - base);
    const float largest = job.ops.row_max(scores, seen.last - seen.first);
    if (!std::isfinite(largest)) return i;
    part.largest[i] = largest;
    const auto exp_sum = job.products != nullptr ? job.products->exp_sum : job.ops.exp_sum;
    part.weight[i] = exp_sum(scores, largest, seen.last - seen.first);
  }
  return kNone;
}

void load_queries(const AttendJob& job, const AttendTask& task, AttendScratch& scratch) {
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    float* query = scratch.queries.data() + i * job.dim;
    const float* source =
        job.request.queries.row(task.first_row + i / job.group).data() + head_column(job, task, i);
    std::copy_n(source, job.dim, query);
    if (job.layer.codec->rotated()) job.ops.hadamard(query, job.dim);
  }
  if (job.products != nullptr) load_query_codes(job, task, scratch);
}

std::size_t attend_segment(const AttendJob& job, const AttendTask& task, std::size_t segment,
                           const Partial& part, AttendScratch& scratch) {
  const Visible range = intersect(task.range, segment_range(segment));
  if (job.products != nullptr) {
    const std::size_t bad = attend_codes(job, task, range, part, scratch);
    return bad == kNone ? kNone : task.first_row + bad / job.group;
  }
  score_segment(job, task, range, scratch);
  const std::size_t bad = weigh_segment(job, task, range, part, scratch);
  if (bad != kNone) return task.first_row + bad / job.group;
  sum_segment(job, task, range, part, scratch);
  return kNone;
}

void merge(const AttendJob& job, const AttendTask& task, const Partial& total, const Partial& next) {
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
    add_scaled(sums, keep, next_sums, add, job.dim);
    total.largest[i] = largest;
    total.weight[i] = total.weight[i] * keep + next.weight[i] * add;
  }
}

void store_output(const AttendJob& job, const AttendTask& task, const Partial& total) {
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    float* out = job.request.out.row(task.first_row + i / job.group).data() + head_column(job, task, i);
    if (total.weight[i] == 0.0f) {
      std::fill_n(out, job.dim, 0.0f);
      continue;
    }
    const float* sums = total.sums.row(i).data();
    const float scale = 1.0f / total.weight[i];
    for (std::size_t d = 0; d < job.dim; ++d) out[d] = sums[d] * scale;
    if (job.products != nullptr) job.layer.codec->order_sums(job.ops, out);
    if (job.layer.codec->rotated()) job.ops.hadamard(out, job.dim);
  }
}

}  // namespace kakeya::kv
