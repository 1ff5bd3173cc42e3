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
  // Appends and commits context rows for newly settled target positions: taps [n, taps * hidden], placed at
  // positions kv->length() .. of the draft's own cache.
  virtual Status observe(const Compute& compute, Rows<const float> taps, kv::Cache& kv,
                         Scratch& scratch) const = 0;
  // One pass over [anchor, mask * (block - 1)] at positions kv.length() ..; logits [block - 1, vocab]: row i
  // is for position kv.length() + 1 + i. The cache is left as it was. block >= 2.
  virtual Status propose(const Compute& compute, Token anchor, std::size_t block, kv::Cache& kv,
                         Scratch& scratch, ForwardResult& result) const = 0;
};

}  // namespace kakeya::model
