// Times the parts of decoding one by one, at a chosen depth of context. For measuring only: nothing here
// makes text. One probe holds the caches of one session; `kakeya-llm bench speed` is its user.
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kakeya {

// Rows a prompt is run in at once.
inline constexpr std::size_t kPromptChunkRows = 256;

struct Elapsed {
  std::uint64_t wall_ns = 0;
  std::uint64_t cpu_ns = 0;  // of all threads of the process
};

enum class PassLogits { kNone, kLast, kAll };

// What one pass of the target has to do, from shapes and the cache's own row sizes.
struct PassCost {
  std::uint64_t weight_bytes = 0;  // matrices of the layers, and the output matrix where logits are asked for
  std::uint64_t kv_bytes = 0;      // packed rows that attention reads, all layers, each once
  std::uint64_t matrix_ops = 0;    // multiplications and additions of the weight matrices, attention left out
};

// Read rate of memory with the engine's threads; the best stretch of 64 MiB of two passes over a buffer that
// is allocated for it, in huge pages where the system gives them, and let go again.
struct MemoryLimit {
  double gbs = 0;                            // 1e9 bytes a second
  std::uint64_t buffer_bytes = 0;            // at most a quarter of the memory that is free
  std::uint64_t last_level_cache_bytes = 0;  // 0 = unknown. A smaller buffer measures the cache
};

// Peak of the int8 instruction that the CPU variant multiplies quantised weights with, all threads.
struct Int8Limit {
  double gops = 0;          // 1e9 multiplications and additions a second; 0 = the variant has none
  std::string instruction;  // "tdpbusd", "vpdpbusd", "vpmaddubsw", "sdot", "smmla", ... or ""
};

// Made by Engine::new_speed_probe. Not thread-safe.
class SpeedProbe {
 public:
  virtual ~SpeedProbe() = default;

  // Fills the caches, the draft's too, with `tokens` positions: up to 256 real ones, then their packed rows
  // again at rising positions. Attention takes the same time whatever the values. Errors: kInvalidArgument
  // (beyond the context), kOutOfMemory (names what it needs and what is free).
  virtual Status set_depth(std::size_t tokens) = 0;
  virtual std::size_t depth() const = 0;

  // Each leaves the caches at depth() as they were. Errors: kInvalidArgument (nothing to do, beyond the
  // context, no draft), kOutOfMemory.

  // One pass of the target; a draft's taps are copied out where there is a draft.
  virtual Result<Elapsed> pass(std::size_t rows, PassLogits logits) = 0;
  // A prompt of `tokens` in chunks of kPromptChunkRows, logits of the last; a draft observes them. Then
  // `generated` tokens as decode() makes them.
  virtual Result<Elapsed> prompt(std::size_t tokens, std::size_t generated) = 0;
  // `tokens` passes of one row, each fed the likeliest token of the last. No draft.
  virtual Result<Elapsed> decode(std::size_t tokens) = 0;
  // The draft takes in the states of `rows` tokens, at most kPromptChunkRows.
  virtual Result<Elapsed> observe(std::size_t rows) = 0;
  // The draft fills a block, its anchor included; 0 = its own size.
  virtual Result<Elapsed> propose(std::size_t block) = 0;
  // Draft, verify `width` rows, keep accepted[i] + 1 of them, observe; once per value, each below `width`.
  // How many drafts stand is given, not decided.
  virtual Result<Elapsed> given_cycles(std::size_t block, std::size_t width,
                                       std::span<const std::uint32_t> accepted) = 0;

  virtual PassCost cost(std::size_t depth, std::size_t rows, PassLogits logits) const = 0;
  virtual bool int8_products() const = 0;  // matrix_ops run on int8: the weights are quantised

  // Errors: kOutOfMemory, kInvalidArgument. buffer_bytes 0: up to 1 GiB.
  virtual Result<MemoryLimit> memory_limit(std::uint64_t buffer_bytes) = 0;
  virtual Int8Limit int8_limit() = 0;
};

// Of this process and machine; 0 where the system does not say.
struct ProcessMemory {
  std::uint64_t rss_bytes = 0, peak_rss_bytes = 0;
  std::uint64_t available_bytes = 0;  // for new allocations, without swapping
};
ProcessMemory process_memory();
// The peak counts from here on. False where the system cannot do that (only Linux can).
bool reset_peak_memory();
std::string cpu_name();  // "unknown" where the system does not say

}  // namespace kakeya
