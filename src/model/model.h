// A decoder-only transformer: config -> typed weights -> forward over a few rows. Immutable and shared;
// whoever runs it owns the cache and the scratch. Qwen3 and Llama-3.1 are the same blocks, chosen by config.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "kernels/kernels.h"
#include "kv/cache.h"

namespace kakeya::model {

using kernels::Compute;
using kernels::Weight;

enum class LogitRows { kNone, kLast, kAll };

struct ForwardRequest {
  std::span<const Token> tokens;  // placed at positions kv->length() ..
  kv::Cache* kv = nullptr;        // rows are appended, not committed
  LogitRows logit_rows = LogitRows::kLast;
  std::span<const std::size_t> tap_layers;  // 0-based layers whose output is copied out
};

// Filled by forward; buffers grow once and are reused.
struct ForwardResult {
  Rows<float> logits() {
    return {shared_logits != nullptr ? shared_logits : logits_data.data(), logit_count, vocab};
  }
  Rows<float> taps() { return {taps_data.data(), tap_count, tap_width}; }  // [tokens, taps * hidden]
  std::vector<float> logits_data, taps_data;
  float* shared_logits = nullptr;  // in the scratch of a pass over several sequences; valid until the next
  std::size_t logit_count = 0, vocab = 0, tap_count = 0, tap_width = 0;
};

// Rows of one pass through the layers at most: longer prompts run in chunks, so that buffers stay bounded.
inline constexpr std::size_t kMaxChunkRows = 256;
// Sequences of one pass at most.
inline constexpr std::size_t kMaxSequences = 64;

// Work buffers of one caller; sized for the largest batch seen, then steady.
class Scratch;
struct ScratchDeleter {
  void operator()(Scratch* scratch) const;
};
using ScratchPtr = std::unique_ptr<Scratch, ScratchDeleter>;

class Model {
 public:
  // `path`: a directory in Hugging Face layout, a GGUF file, or "random:..." (random_weights.h). Checks every
  // tensor's name, dtype and shape before anything runs. Quantised weights are repacked on `pool`.
  static Result<std::unique_ptr<const Model>> load(const std::string& path, base::ThreadPool& pool);
  virtual ~Model() = default;

  virtual const formats::ModelConfig& config() const = 0;
  virtual const formats::TensorStore& tensors() const = 0;  // empty for random weights
  virtual std::string dtype() const = 0;                    // of the matrices, by share: "bf16", "q4_k+q6_k"
  virtual bool quantised() const = 0;                       // products round activations to int8
  virtual std::size_t parameters() const = 0;
  virtual std::size_t weight_bytes() const = 0;  // of the files; of the memory for random weights
  virtual kv::KvShape kv_shape() const = 0;
  virtual const Weight& embedding() const = 0;  // [vocab, hidden]
  virtual const Weight& head() const = 0;       // [vocab, hidden]; the embedding when tied

  // The norm before the head, in place: tapped states of the last layer [rows, hidden] become what the head
  // reads, which embeddings are made of.
  virtual void normalise(const Compute& compute, Rows<float> states) const = 0;

  virtual ScratchPtr make_scratch() const = 0;
  // Errors: kInvalidArgument (token id outside the vocabulary), kOutOfMemory (cache full), kNumeric (NaN in a
  // K, V or logit row). After an error the cache is rewound to its length before the call.
  Status forward(const Compute& compute, const ForwardRequest& request, Scratch& scratch,
                 ForwardResult& result) const {
    ForwardResult* const results[] = {&result};
    return forward(compute, {&request, 1}, scratch, results);
  }
  // Several sequences, each with its own cache and result, in one pass: the weights are read once. At most
  // kMaxSequences, and together at most kMaxChunkRows tokens unless there is only one. A row's values do not
  // depend on the others. An error does not say which sequence it was; all caches are rewound.
  virtual Status forward(const Compute& compute, std::span<const ForwardRequest> requests, Scratch& scratch,
                         std::span<ForwardResult* const> results) const = 0;
};

}  // namespace kakeya::model
