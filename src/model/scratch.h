// Work buffers of one caller of Model::forward or DFlashDraft. They grow to the largest batch seen and stay.
#pragma once
#include <cstddef>
#include <vector>

#include "base/rows.h"
#include "kv/cache.h"
#include "model/model.h"

namespace kakeya::model {

class Scratch {
 public:
  // Makes room for `rows` rows of a model of this shape; allocates only when the size grows.
  void reserve(const formats::ModelConfig& config, std::size_t rows);
  std::size_t bytes() const;
  // What reserve would hold for `rows` rows.
  static std::size_t bytes_for(const formats::ModelConfig& config, std::size_t rows);

  std::vector<float> hidden;               // [rows, hidden]: the residual stream
  std::vector<float> normed;               // [rows, hidden]
  std::vector<float> projected;            // [rows, hidden]
  std::vector<float> q;                    // [rows, heads * head_dim]
  std::vector<float> attended;             // [rows, heads * head_dim]
  std::vector<float> k, v;                 // [rows, kv_heads * head_dim]
  std::vector<float> gate, up;             // [rows, intermediate]
  std::vector<float> cos, sin;             // [rows, head_dim / 2]
  std::vector<float> logits;               // [logit rows, vocab] of a pass over several sequences
  std::vector<float> taps;                 // [rows, taps * hidden] that a draft observes of several sequences
  std::vector<kv::Visible> full, sliding;  // [rows]: what a row sees in a full and in a sliding layer
};

// Grows, never shrinks.
template <class T>
void grow(std::vector<T>& buffer, std::size_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

}  // namespace kakeya::model
