// Sizes of the work buffers.
#include "model/scratch.h"

namespace kakeya::model {

void ScratchDeleter::operator()(Scratch* scratch) const { delete scratch; }

void Scratch::reserve(const formats::ModelConfig& config, std::size_t rows) {
  const std::size_t q_width = config.heads * config.head_dim;
  const std::size_t kv_width = config.kv_heads * config.head_dim;
  for (auto* buffer : {&hidden, &normed, &projected}) grow(*buffer, rows * config.hidden_size);
  for (auto* buffer : {&q, &attended}) grow(*buffer, rows * q_width);
  for (auto* buffer : {&k, &v}) grow(*buffer, rows * kv_width);
  for (auto* buffer : {&gate, &up}) grow(*buffer, rows * config.intermediate_size);
  for (auto* buffer : {&cos, &sin}) grow(*buffer, rows * config.head_dim / 2);
  for (auto* buffer : {&full, &sliding}) grow(*buffer, rows);
}

std::size_t Scratch::bytes() const {
  std::size_t floats = 0;
  for (const auto* buffer :
       {&hidden, &normed, &projected, &q, &attended, &k, &v, &gate, &up, &cos, &sin, &logits, &taps}) {
    floats += buffer->size();
  }
  return floats * sizeof(float) + (full.size() + sliding.size()) * sizeof(kv::Visible);
}

std::size_t Scratch::bytes_for(const formats::ModelConfig& config, std::size_t rows) {
  const std::size_t per_row = 3 * config.hidden_size + 2 * config.heads * config.head_dim +
                              2 * config.kv_heads * config.head_dim + 2 * config.intermediate_size +
                              config.head_dim;
  return rows * (per_row * sizeof(float) + 2 * sizeof(kv::Visible));
}

}  // namespace kakeya::model
