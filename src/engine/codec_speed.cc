// How fast a channel encodes, decodes and attends, beside memcpy and bf16 attention in the same run.
#include <fmt/format.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>

#include "base/thread_pool.h"
#include "engine/codec_internal.h"
#include "kv/cache.h"

namespace kakeya {
namespace {

// Query heads that share a KV head, as in Qwen3-8B.
constexpr std::size_t kQueryHeads = 4;
constexpr std::size_t kMaxValues = std::size_t{1} << 28;

// Vectors a second of the fastest of `repeats` calls.
template <class F>
double best_rate(std::size_t vectors, int repeats, F&& work) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(vectors) / std::max(seconds.count(), 1e-9));
  }
  return best;
}

// One KV head, `rows` positions, kQueryHeads queries; K and V both count as vectors.
Result<double> attend_rate(const kernels::Compute& compute, const kv::Channel& channel, Rows<const float> x,
                           int repeats) {
  kv::CacheOptions options;
  options.channel = channel;
  options.max_tokens = x.rows;
  KAKEYA_ASSIGN(const auto cache,
                kv::Cache::create({.layers = 1, .kv_heads = 1, .head_dim = x.cols}, options));
  KAKEYA_TRY(cache->append(compute, 0, x, x));
  std::vector<float> queries(kQueryHeads * x.cols);
  std::vector<float> out(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) queries[i] = std::sin(static_cast<float>(i));
  const kv::Visible visible{0, x.rows};
  kv::AttendRequest request;
  request.queries = {queries.data(), 1, queries.size()};
  request.visible = {&visible, 1};
  request.scale = 1.0f / std::sqrt(static_cast<float>(x.cols));
  request.out = {out.data(), 1, out.size()};
  Status status;
  const double rate = best_rate(2 * x.rows, repeats, [&] { status = cache->attend(compute, request); });
  if (!status.ok()) return status.error();
  return rate;
}

}  // namespace

Result<CodecSpeed> measure_codec(std::string_view channel_name, std::size_t head_dim, std::size_t rows,
                                 int repeats, std::string_view isa) {
  if (rows == 0 || repeats < 1 || head_dim == 0 || rows > kMaxValues / head_dim) {
    return invalid_argument(
        fmt::format("codec bench: {} rows of {} values, {} repeats; expected at least one of each "
                    "and at most {} values",
                    rows, head_dim, repeats, kMaxValues));
  }
  KAKEYA_ASSIGN(const kernels::Table* ops, engine::find_variant(isa));
  KAKEYA_ASSIGN(const kv::Channel channel, kv::parse_channel(channel_name));
  KAKEYA_ASSIGN(const kv::Channel plain, kv::parse_channel("bf16"));
  KAKEYA_ASSIGN(const auto codec, kv::make_codec(channel, head_dim));
  std::vector<float> x(rows * head_dim);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& v : x) v = normal(random);

  CodecSpeed speed{.name = channel.name, .isa = ops->name, .head_dim = head_dim, .rows = rows};
  std::vector<std::byte> packed(rows * codec->row_bytes());
  kv::SideRows side;
  const Rows<const float> view(x.data(), rows, head_dim);
  std::size_t failed = 0;
  Status status;
  speed.encode_per_s = best_rate(rows, repeats, [&] {
    side.clear();
    status = codec->encode_rows(*ops, view, packed.data(), side, &failed);
  });
  if (!status.ok()) return status.error();
  std::vector<float> decoded(head_dim);
  speed.decode_per_s = best_rate(rows, repeats, [&] {
    for (std::size_t r = 0; r < rows; ++r)
      codec->decode(*ops, packed.data() + r * codec->row_bytes(), side, decoded);
  });
  std::vector<std::byte> from(rows * head_dim * 2, std::byte{1});
  std::vector<std::byte> to(from.size());
  speed.memcpy_per_s = best_rate(rows, repeats, [&] {
    std::memcpy(to.data(), from.data(), from.size());
    asm volatile("" : : "r"(to.data()) : "memory");  // the copy is not dead
  });

  base::ThreadPool pool(1);
  const kernels::Compute compute{ops, &pool};
  KAKEYA_ASSIGN(speed.attend_per_s, attend_rate(compute, channel, view, repeats));
  KAKEYA_ASSIGN(speed.bf16_attend_per_s, attend_rate(compute, plain, view, repeats));
  return speed;
}

}  // namespace kakeya
