// Fast attention of one chunk of query rows over one segment: queries and weights rounded, cached rows laid
// out as codes, int8 or bf16, and products of both (kernels/code_products.h). What is rounded, and where,
// depends on the row and the absolute segment alone (equations: docs/formats/kv-pages.md).
#include <algorithm>

#include "kv/attend_job.h"

namespace kakeya::kv {
namespace {

// Keys are unpacked and multiplied so many at a time that they stay in the first-level cache.
constexpr std::size_t kKeyRun = 128;  // of one byte a code
static_assert(kSegmentTokens <= kernels::kMostProducts && kSegmentTokens % kKeyRun == 0);
static_assert(kSegmentTokens / kPageTokens <= base::LineRequests::kMostPlaces);
std::size_t key_run(const AttendJob& job) {
  return std::max(kPageTokens, kKeyRun / job.products->code_bytes);
}

// Whether keys stay rows.
bool takes_rows(const AttendJob& job, const AttendTask& task) {
  return task.query_rows <= job.products->most_row_queries;
}

// From now on the pages of the segment that begins at `first` are asked for, by turns.
void want_segment(const AttendJob& job, const AttendTask& task, const RowStore& store, std::size_t first,
                  AttendScratch& scratch) {
  scratch.wanted.start(kPageTokens * job.layer.codec->row_bytes());
  const std::size_t last = std::min(first + kSegmentTokens, task.range.last);
  for (; first < last; first += kPageTokens) scratch.wanted.add(store.pages.row(task.kv_head, first));
}

// Rows of `range`, which begins with a page, into scratch.codes and scratch.scales.
void unpack_pages(const AttendJob& job, const AttendTask& task, CodeLayout layout, Visible range,
                  AttendScratch& scratch) {
  const RowStore& store = layout == CodeLayout::kValues ? job.layer.v : job.layer.k;
  std::int8_t* codes = scratch.codes.data();
  float* scales = scratch.scales.data();
  for (std::size_t first = range.first; first < range.last; first += kPageTokens) {
    stir(job);
    const std::size_t n = std::min(kPageTokens, range.last - first);
    const std::byte* rows = store.pages.row(task.kv_head, first);
    job.layer.codec->unpack_codes(job.ops, layout, rows, n, rows + kPageTokens * job.layer.codec->row_bytes(),
                                  store.side[task.kv_head], scratch.wanted, codes, scales);
    codes += kPageTokens * job.dim * job.products->code_bytes;
    scales += kPageTokens;
  }
}

kernels::PairRows query_rows(const AttendJob& job, const AttendTask& task, AttendScratch& scratch) {
  return {task.query_rows, job.dim, scratch.query_codes.data(), scratch.query_steps.data(),
          job.products->code_bytes};
}

// The task's weights, times the scales of the values, over positions [0, n) of the segment; 0 where a row
// does not see.
kernels::PairRows round_weights(const AttendJob& job, const AttendTask& task, std::size_t base, std::size_t n,
                                AttendScratch& scratch) {
  const kernels::PairRows weights = {task.query_rows, n, scratch.weight_codes.data(),
                                     scratch.weight_steps.data(), job.products->code_bytes};
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    stir(job);
    float* row = scratch.scores.data() + i * kSegmentTokens;
    const Visible seen = scratch.seen[i];
    const std::size_t first = empty(seen) ? n : seen.first - base, last = empty(seen) ? n : seen.last - base;
    std::fill(row, row + first, 0.0f);
    std::fill(row + last, row + n, 0.0f);
    job.products->round(row, scratch.scales.data(), weights, i);
  }
  return weights;
}

}  // namespace

void load_query_codes(const AttendJob& job, const AttendTask& task, AttendScratch& scratch) {
  const kernels::PairRows queries = query_rows(job, task, scratch);
  for (std::size_t i = 0; i < task.query_rows; ++i) {
    job.products->round(scratch.queries.data() + i * job.dim, nullptr, queries, i);
    queries.steps[i] *= job.request.scale;
  }
  if (takes_rows(job, task)) job.products->columns(queries, scratch.query_columns.data());
}

std::size_t attend_codes(const AttendJob& job, const AttendTask& task, Visible range, const Partial& part,
                         AttendScratch& scratch) {
  const std::size_t base = range.first / kSegmentTokens * kSegmentTokens;
  const kernels::PairRows queries = query_rows(job, task, scratch);
  const std::size_t step = key_run(job);
  const bool in_rows = takes_rows(job, task);
  want_segment(job, task, job.layer.v, base, scratch);
  for (std::size_t first = range.first / step * step; first < range.last; first += step) {
    const Visible run = {first, std::min(range.last, first + step)};
    const std::size_t n = ceil_to(run.last - first, 16);
    unpack_pages(job, task, in_rows ? CodeLayout::kKeyRows : CodeLayout::kKeyBlocks, run, scratch);
    const Rows<float> scores(scratch.scores.data() + (first - base), task.query_rows, n, kSegmentTokens);
    in_rows ? job.products->row_scores(queries, scratch.query_columns.data(), scratch.codes.data(), n,
                                       scratch.scales.data(), scores)
            : job.products->scores(queries, scratch.codes.data(), n, scratch.scales.data(), scores);
  }
  const std::size_t bad = weigh_segment(job, task, range, part, scratch);
  if (bad != kNone) return bad;
  const std::size_t n = ceil_to(range.last - base, kPageTokens);
  want_segment(job, task, job.layer.k, base + kSegmentTokens, scratch);
  unpack_pages(job, task, CodeLayout::kValues, {base, range.last}, scratch);
  const kernels::PairRows weights = round_weights(job, task, base, n, scratch);
  job.products->sums(weights, scratch.codes.data(), part.sums.sub(0, task.query_rows));
  return kNone;
}

}  // namespace kakeya::kv
