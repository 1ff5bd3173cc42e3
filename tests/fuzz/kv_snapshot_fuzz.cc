// Hostile bytes as the saved rows of a cache: an error that leaves it empty, or a cache that holds just these
// bytes and can be attended to, cut, appended to and saved again.
#include <cmath>
#include <random>

#include "fuzz.h"
#include "kv/cache.h"

using namespace kakeya;

namespace {

constexpr kv::KvShape kShape = {2, 1, 64};
constexpr std::size_t kMaxTokens = 80;

kernels::Compute compute() {
  static base::ThreadPool pool(1);
  return {&kernels::best(), &pool};
}

const std::vector<std::string>& channels() {
  static const auto kNames = [] {
    std::vector<std::string> out;
    for (const auto& family : kv::channel_families()) {
      out.insert(out.end(), family.examples.begin(), family.examples.end());
    }
    return out;
  }();
  return kNames;
}

std::unique_ptr<kv::Cache> make_cache(const std::string& channel, int boundary, bool fast) {
  kv::CacheOptions options = {*kv::parse_channel(channel), boundary, kMaxTokens};
  if (fast) options.fast_attention_from = 0;
  auto cache = kv::Cache::create(kShape, options);
  FUZZ_CHECK(cache.ok());
  return std::move(cache).value();
}

void append(kv::Cache& cache, std::size_t tokens) {
  // Gaussian rows, and every third one sparse after the rotation: wide where the range is odd.
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(tokens * kShape.head_dim);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t d = i % kShape.head_dim;
    const float spike = (d % 2 == 0 ? 1.0f : -1.0f) - (d % 16 < 8 ? 1.0f : -1.0f);
    x[i] = i / kShape.head_dim % 3 == 0 ? spike : normal(random);
  }
  const Rows<const float> rows(x.data(), tokens, kShape.head_dim);
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    FUZZ_CHECK(cache.append(compute(), layer, rows, rows).ok());
  }
}

void attend(kv::Cache& cache) {
  const std::size_t n = cache.length(), width = 2 * kShape.head_dim;
  const std::vector<float> queries(2 * width, 0.25f);
  std::vector<float> out(2 * width);
  const std::vector<kv::Visible> visible = {{0, n}, {n / 2, n}};
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    const Status status =
        cache.attend(compute(), {layer, {queries.data(), 2, width}, visible, 0.125f, {out.data(), 2, width}});
    FUZZ_CHECK(status.ok() || status.error().code == ErrorCode::kNumeric);
  }
}

void use(kv::Cache& cache, const std::vector<std::byte>& bytes, std::size_t length) {
  FUZZ_CHECK(cache.length() == length && cache.committed() == length);
  std::vector<std::byte> again;
  cache.save_rows(length, again);
  FUZZ_CHECK(again == bytes);
  attend(cache);
  std::vector<float> row(kShape.head_dim);
  for (std::size_t t = 0; t < length; ++t) {
    for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
      cache.read_row(compute(), layer, 0, t % 2 == 0, t, row);
    }
  }
  cache.truncate(length / 2);
  append(cache, 5);
  attend(cache);
  cache.reset();
  FUZZ_CHECK(cache.ledger().vectors_stored == 0);
}

}  // namespace

// Input: channel, flags, length, then bytes that replace the rows, or triples (place, place, xor) that change
// good ones.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string& channel = channels()[data[0] % channels().size()];
  const int boundary = data[1] & 1;
  const std::size_t length = data[2] % (kMaxTokens + 2);
  std::vector<std::byte> bytes;
  const std::uint8_t* rest = data + 3;
  if ((data[1] & 2) != 0) {
    const auto* raw = reinterpret_cast<const std::byte*>(rest);
    bytes.assign(raw, raw + (size - 3));
  } else {
    auto source = make_cache(channel, boundary, false);
    append(*source, kMaxTokens);
    source->save_rows(std::min(length, kMaxTokens), bytes);
    for (; size - static_cast<std::size_t>(rest - data) >= 3 && !bytes.empty(); rest += 3) {
      bytes[(rest[0] + 256u * rest[1]) % bytes.size()] ^= static_cast<std::byte>(rest[2]);
    }
    if ((data[1] & 8) != 0) bytes.resize(bytes.size() * data[1] / 255);
  }
  auto cache = make_cache(channel, boundary, (data[1] & 4) != 0);
  append(*cache, 3);
  const Status status = cache->load_rows(bytes, length);
  if (status.ok()) {
    use(*cache, bytes, length);
  } else {
    FUZZ_CHECK(cache->length() == 0 && cache->committed() == 0 && cache->ledger().vectors_stored == 0);
    FUZZ_CHECK(length > kMaxTokens || status.error().code == ErrorCode::kCorruptData);
    append(*cache, 5);
    attend(*cache);
  }
  return 0;
}
