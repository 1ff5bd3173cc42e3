// The peer (llama.cpp) behind its public C interface: one model, one context, one sequence at any depth.
// Not part of kakeya: built by benchmarks/peers/run against the headers that come with the peer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "llama.h"

namespace peers {

struct PeerOptions {
  std::string libraries;  // directory of the peer's shared objects, its CPU variants among them
  std::string model;
  std::string kv = "f16";
  bool flash_attention = true;
  int threads = 2;
  int context = 1024;
};

struct Timing {
  double wall_ms = 0, cpu_ms = 0;  // cpu: over all threads of the process
};

// Every failure is thrown as std::runtime_error: a measuring program that cannot measure ends.
class PeerModel {
 public:
  explicit PeerModel(const PeerOptions& options);
  ~PeerModel();
  PeerModel(const PeerModel&) = delete;
  PeerModel& operator=(const PeerModel&) = delete;

  // One pass over `rows` tokens behind `depth` cached ones; logits of the last row or of all. The cache is
  // brought to the depth first, which is not timed, and is at that depth again afterwards.
  Timing step(int rows, int depth, bool all_logits);

  // Float32 logits [ids, vocabulary] of a text from its first position on. The cache is empty afterwards.
  std::vector<float> logits(const std::vector<llama_token>& ids);

  int vocabulary() const { return vocabulary_; }
  std::string backend() const;  // file of the CPU variant the peer chose
  std::uint64_t peak_rss_bytes() const;

 private:
  void go_to(int depth);
  void decode_random(int from, int count);
  void take_seed();
  void append_copies(int count);
  void shrink_to(int depth);
  void fill(int from, int count, bool all_logits);
  void decode(const char* what);

  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  llama_memory_t memory_ = nullptr;
  llama_batch batch_{};
  int vocabulary_ = 0, filled_ = 0, batch_limit_ = 0;
  std::uint32_t random_ = 12345;
  std::vector<std::uint8_t> seed_;  // state of kSeedTokens real tokens
  mutable std::uint64_t peak_before_fill_ = 0;
};

std::uint64_t status_bytes(const char* key);  // a line of /proc/self/status, e.g. "VmRSS"

}  // namespace peers
