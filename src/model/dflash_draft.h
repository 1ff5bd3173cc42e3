// The DFlash drafter (arXiv 2602.06036): fuses tapped target states into K/V context and fills a whole block
// of masked positions in one bidirectional pass. Embedding and head are the target's.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace kakeya::model {

// Newly settled rows of one sequence: taps [n, taps * hidden], placed at positions kv->length() .. of the
// draft's own cache.
struct ObserveRequest {
  Rows<const float> taps;
  kv::Cache* kv = nullptr;
};

// A block of one sequence: [anchor, mask * (block - 1)] at positions kv->length() ..; block >= 2.
struct BlockRequest {
  Token anchor = 0;
  std::size_t block = 0;
  kv::Cache* kv = nullptr;
};

class DFlashDraft {
 public:
  // Refuses a draft whose shapes, layer ids, vocabulary or mask id do not fit `target`, naming both sides.
  // `target` outlives the draft.
  // `path` as for Model::load.
  static Result<std::unique_ptr<const DFlashDraft>> load(const std::string& path, const Model& target,
                                                         base::ThreadPool& pool);
  virtual ~DFlashDraft() = default;

  virtual const formats::ModelConfig& config() const = 0;
  virtual const formats::TensorStore& tensors() const = 0;
  virtual std::string dtype() const = 0;
  virtual std::size_t parameters() const = 0;
  virtual std::size_t weight_bytes() const = 0;  // of the files; of the memory for random weights
  virtual kv::KvShape kv_shape() const = 0;
  std::size_t block_size() const { return config().dflash->block_size; }
  std::span<const std::size_t> tap_layers() const { return config().dflash->target_layer_ids; }

  virtual ScratchPtr make_scratch() const = 0;
  // Appends and commits context rows, of several sequences in one pass: the weights are read once. At most
  // kMaxSequences, and together at most kMaxChunkRows rows unless there is only one. A row's values do not
  // depend on the others. Errors: kOutOfMemory (cache full), kNumeric; it does not say which sequence it was;
  // all caches are rewound.
  virtual Status observe(const Compute& compute, std::span<const ObserveRequest> requests,
                         Scratch& scratch) const = 0;
  Status observe(const Compute& compute, Rows<const float> taps, kv::Cache& kv, Scratch& scratch) const {
    const ObserveRequest request{taps, &kv};
    return observe(compute, {&request, 1}, scratch);
  }
  // One pass over the blocks of all; logits [block - 1, vocab]: row i is for position kv.length() + 1 + i.
  // The caches are left as they were. Limits and errors as of observe, and kInvalidArgument (anchor, block).
  virtual Status propose(const Compute& compute, std::span<const BlockRequest> requests, Scratch& scratch,
                         std::span<ForwardResult* const> results) const = 0;
  Status propose(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv, Scratch& scratch,
                 ForwardResult& result) const {
    const BlockRequest request{anchor, block, &kv};
    ForwardResult* const results[] = {&result};
    return propose(compute, {&request, 1}, scratch, results);
  }
};

}  // namespace kakeya::model
