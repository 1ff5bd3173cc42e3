// What a pass must do, and what the machine can do at most.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "base/page_buffer.h"
#include "engine/machine.h"
#include "engine/speed_probe.h"
#include "kernels/blocks.h"
#include "kernels/panels.h"
#include "kernels/peaks.h"
#include "kv/page_list.h"

namespace kakeya::engine {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kReadTask = 16 * kMiB;
constexpr std::uint64_t kUsualBuffer = 1024 * kMiB;
constexpr std::uint64_t kOfCache =
    4;  // a buffer has that many times the last-level cache, or part of it stays there
// Rates are taken over short stretches: of a shared machine's time some are undisturbed.
constexpr std::uint64_t kReadStretch = 4 * kReadTask;
// Without requests and with them by turns: which is faster depends on the machine.
constexpr int kReadPasses = 4;
constexpr std::size_t kReadAhead = 2048;
constexpr int kPeakRuns = 20;
constexpr double kPeakRunSeconds = 0.001;
constexpr std::size_t kTasksPerThread = 4;

std::uint64_t matrix_bytes(const kernels::Weight& w) {
  if (w.layout == kernels::WeightLayout::kPanels) {
    return kernels::panel_bytes(w.type, w.out, w.in, w.group, w.scale_type);
  }
  if (!kernels::is_quantised(w.type)) return w.out * w.in * kernels::bytes_per_weight(w.type);
  return w.out * kernels::row_bytes(w.type, w.in);
}

// Bytes of one token's K and V in every layer.
std::vector<std::uint64_t> token_bytes(const kv::Cache& cache) {
  std::vector<std::uint64_t> out;
  const kv::KvShape& shape = cache.shape();
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const auto channel = kv::parse_channel(cache.layer_channel(layer));
    const auto codec = channel.ok() ? kv::make_codec(*channel, shape.head_dim) : channel.error();
    KAKEYA_CHECK(codec.ok());  // the cache was made with it
    out.push_back(2 * shape.kv_heads * (*codec)->row_bytes());
  }
  return out;
}

// Bytes of the pages that a context of `tokens` needs on top of those held.
std::uint64_t missing_bytes(const kv::Cache& cache, std::size_t tokens) {
  const kv::KvShape& shape = cache.shape();
  const std::size_t held = cache.ledger().vectors_capacity / (2 * shape.kv_heads * shape.layers);
  const std::size_t wanted = (tokens + kv::kPageTokens - 1) / kv::kPageTokens * kv::kPageTokens;
  if (wanted <= held) return 0;
  std::uint64_t bytes = 0;
  for (const std::uint64_t layer : token_bytes(cache)) bytes += layer * (wanted - held);
  return bytes;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Status SpeedProbeImpl::check_memory(std::size_t tokens) const {
  std::uint64_t needed = missing_bytes(*caches_.kv, tokens);
  if (caches_.draft_kv) needed += missing_bytes(*caches_.draft_kv, tokens);
  return check_free_memory(fmt::format("depth {}, its rows in {}", tokens, caches_.options.kv), needed,
                           process_memory().available_bytes);
}

PassCost SpeedProbeImpl::cost(std::size_t depth, std::size_t rows, PassLogits logits) const {
  const formats::ModelConfig& c = state_->target->config();
  const model::Model& target = *state_->target;
  const bool tied = target.head().data == target.embedding().data;
  const std::size_t logits_of = logits == PassLogits::kAll ? rows : logits == PassLogits::kLast ? 1 : 0;

  PassCost cost;
  cost.weight_bytes = target.weight_bytes() - matrix_bytes(target.head());
  if (!tied) cost.weight_bytes -= matrix_bytes(target.embedding());
  if (logits_of > 0) cost.weight_bytes += matrix_bytes(target.head());

  const std::vector<std::uint64_t> bytes = token_bytes(*caches_.kv);
  for (std::size_t layer = 0; layer < bytes.size(); ++layer) {
    const bool sliding = !c.sliding.empty() && c.sliding[layer];
    const std::size_t seen = depth + rows;
    // A window reaches back from the first row.
    cost.kv_bytes += bytes[layer] * (sliding ? std::min(seen, c.sliding_window + rows - 1) : seen);
  }

  // The last layer's output is computed for the rows of the logits alone.
  const std::uint64_t q = c.heads * c.head_dim, kv_width = c.kv_heads * c.head_dim;
  const std::uint64_t kv_macs = 2 * c.hidden_size * kv_width;
  const std::uint64_t other_macs = 2 * c.hidden_size * q + 3 * c.hidden_size * c.intermediate_size;
  cost.matrix_ops = 2 * (rows * c.layers * kv_macs + (rows * (c.layers - 1) + logits_of) * other_macs +
                         logits_of * c.vocab_size * c.hidden_size);
  return cost;
}

Result<MemoryLimit> SpeedProbeImpl::memory_limit(std::uint64_t buffer_bytes) {
  const std::uint64_t available = process_memory().available_bytes;
  const std::uint64_t usual = std::max(kUsualBuffer, kOfCache * last_level_cache_bytes());
  std::uint64_t bytes = buffer_bytes == 0 ? usual : buffer_bytes;
  if (available != 0) bytes = std::min(bytes, available / 4);
  bytes = std::max(bytes / kReadStretch * kReadStretch, kReadStretch);
  const std::lock_guard turn(state_->pool_mutex);
  KAKEYA_ASSIGN(const base::PageBuffer buffer, base::PageBuffer::allocate(bytes));
  base::ThreadPool& pool = *state_->compute.pool;
  pool.parallel_for(bytes / kReadTask, [&](std::size_t task, int) {
    std::memset(buffer.bytes().data() + task * kReadTask, static_cast<int>(task + 1), kReadTask);
  });
  MemoryLimit out;
  out.buffer_bytes = bytes;
  out.last_level_cache_bytes = last_level_cache_bytes();
  for (std::uint64_t read = 0; read < kReadPasses * bytes; read += kReadStretch) {
    const auto stretch = buffer.bytes().subspan(read % bytes, kReadStretch);
    const std::size_t ahead = read / bytes % 2 == 0 ? 0 : kReadAhead;
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(kReadStretch / kReadTask, [&](std::size_t task, int) {
      kernels::read_bytes(stretch.subspan(task * kReadTask, kReadTask), ahead);
    });
    out.gbs = std::max(out.gbs, static_cast<double>(kReadStretch) / seconds_since(start) / 1e9);
  }
  return out;
}

Int8Limit SpeedProbeImpl::int8_limit() {
  const kernels::Int8Peak* peak = kernels::int8_peak(state_->compute.ops->name);
  if (peak == nullptr) return {};
  const std::lock_guard turn(state_->pool_mutex);
  std::uint64_t rounds = 1000;
  for (double seconds = 0; seconds < kPeakRunSeconds; rounds *= 2) {
    const auto start = std::chrono::steady_clock::now();
    peak->run(rounds);
    seconds = seconds_since(start);
  }
  base::ThreadPool& pool = *state_->compute.pool;
  const std::size_t tasks = static_cast<std::size_t>(pool.threads()) * kTasksPerThread;
  Int8Limit out{0, peak->instruction};
  for (int i = 0; i < kPeakRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    pool.parallel_for(tasks, [&](std::size_t, int) { peak->run(rounds / kTasksPerThread); });
    const double ops = static_cast<double>(tasks * (rounds / kTasksPerThread) * peak->ops_per_round);
    out.gops = std::max(out.gops, ops / seconds_since(start) / 1e9);
  }
  return out;
}

}  // namespace kakeya::engine
