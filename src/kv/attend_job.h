// The parts of attention between the scheduling in attend.cc and the sums in attend_segment.cc.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>

#include "kernels/code_products.h"
#include "kv/packed_cache.h"

namespace kakeya::kv {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

// One call of Cache::attend.
struct AttendJob {
  const kernels::Table& ops;
  const AttendRequest& request;
  const LayerStore& layer;
  std::size_t dim;
  std::size_t kv_heads;
  std::size_t group;                                // query heads per KV head
  std::size_t rows_per_chunk;                       // of the request
  std::size_t chunk_rows;                           // query rows of a full chunk: rows_per_chunk * group
  std::size_t tasks;                                // KV heads x chunks of rows
  std::size_t segments;                             // up to the last position that any row sees
  const kernels::CodeProducts* products = nullptr;  // fast attention: all rows on codes
};

// Between steps of fast attention that take a few hundred nanoseconds.
inline void stir(const AttendJob& job) {
  if (job.products != nullptr && job.products->unit != nullptr) job.products->unit->stir();
}

// One KV head and one chunk of query rows: row i of the chunk is query head i % group of request row
// first_row + i / group.
struct AttendTask {
  std::size_t kv_head;
  std::size_t first_row;
  std::size_t rows;  // of the request
  std::size_t query_rows;
  Visible range;  // union of what the rows see
};

inline std::size_t ceil_to(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }
inline Visible intersect(Visible a, Visible b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}
inline bool empty(Visible v) { return v.first >= v.last; }
inline Visible segment_range(std::size_t segment) {
  return {segment * kSegmentTokens, (segment + 1) * kSegmentTokens};
}

// Floats of one Partial of a full chunk, and a view of one.
inline std::size_t partial_floats(const AttendJob& job) { return job.chunk_rows * (job.dim + 2); }
inline Partial view_partial(const AttendJob& job, float* data) {
  float* tail = data + job.chunk_rows * job.dim;
  return {{data, job.chunk_rows, job.dim}, tail, tail + job.chunk_rows};
}
inline void clear(const Partial& partial) { std::fill_n(partial.weight, partial.sums.rows, 0.0f); }

// The task's query rows into scratch.queries, rotated when the codec is.
void load_queries(const AttendJob& job, const AttendTask& task, AttendScratch& scratch);
// The partial result of one segment that the task's rows see. Returns the request's row with a bad score, or
// kNone.
std::size_t attend_segment(const AttendJob& job, const AttendTask& task, std::size_t segment,
                           const Partial& part, AttendScratch& scratch);
// The two ways to sum a segment, attend_segment.cc and attend_codes.cc. load_query_codes rounds
// scratch.queries.
void load_query_codes(const AttendJob& job, const AttendTask& task, AttendScratch& scratch);
std::size_t attend_codes(const AttendJob& job, const AttendTask& task, Visible range, const Partial& part,
                         AttendScratch& scratch);
// Scores of the positions of `range` -> exp(score - largest) per row over what the row sees. Returns the
// first query row without a finite largest score, or kNone.
std::size_t weigh_segment(const AttendJob& job, const AttendTask& task, Visible range, const Partial& part,
                          AttendScratch& scratch);
// total = total merged with the next segment, row by row.
void merge(const AttendJob& job, const AttendTask& task, const Partial& total, const Partial& next);
// Normalises, rotates back and writes the task's output rows.
void store_output(const AttendJob& job, const AttendTask& task, const Partial& total);

}  // namespace kakeya::kv
