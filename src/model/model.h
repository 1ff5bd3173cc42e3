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
  Rows<float> logits() { return {logits_data.data(), logit_count, vocab}; }
  Rows<float> taps() { return {taps_data.data(), tap_count, tap_width}; }  // [tokens, taps * hidden]
  std::vector<float> logits_data, taps_data;
  std::size_t logit_count = 0, vocab = 0, tap_count = 0, tap_width = 0;
};

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

  virtual ScratchPtr make_scratch() const = 0;
  // Errors: kInvalidArgument (token id outside the vocabulary), kOutOfMemory (cache full), kNumeric (NaN in a
  // K, V or logit row). After an error the cache is rewound to its length before the call.
  virtual Status forward(const Compute& compute, const ForwardRequest& request, Scratch& scratch,
                         ForwardResult& result) const = 0;
};

}  // namespace kakeya::model
