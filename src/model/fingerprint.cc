#include "model/fingerprint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cstdint>
#include <iterator>

#include "base/sha256.h"

namespace kakeya::model {
namespace {

constexpr std::size_t kSamples = 64;
constexpr std::size_t kSampleBytes = 64;

// The bits of a number: exact, and spelled alike by everyone.
std::string bits(double value) { return fmt::format("{:016x}", std::bit_cast<std::uint64_t>(value)); }

// One "name value" a line.
std::string describe(const formats::ModelConfig& c) {
  std::string out = "kakeya-model-fingerprint 1\n";
  const auto add = [&](const char* name, const auto& value) {
    fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
  };
  add("architecture", formats::to_string(c.architecture));
  add("vocab_size", c.vocab_size);
  add("hidden_size", c.hidden_size);
  add("intermediate_size", c.intermediate_size);
  add("layers", c.layers);
  add("heads", c.heads);
  add("kv_heads", c.kv_heads);
  add("head_dim", c.head_dim);
  add("rms_norm_eps", bits(double{c.rms_norm_eps}));
  add("rope_theta", bits(c.rope_theta));
  const formats::RopeScaling& rope = c.rope_scaling;
  add("rope_scaling",
      fmt::format("{:d} {} {} {} {}", rope.llama3, bits(rope.factor), bits(rope.low_freq_factor),
                  bits(rope.high_freq_factor), bits(rope.original_max_position)));
  add("tie_word_embeddings", int{c.tie_word_embeddings});
  add("attention_bias", int{c.attention_bias});
  std::string sliding;
  for (const bool layer : c.sliding) sliding += layer ? '1' : '0';
  add("sliding", fmt::format("{} {}", c.sliding_window, sliding));
  if (c.dflash) {
    add("dflash", fmt::format("{} {} {} {}", c.dflash->block_size, c.dflash->mask_token_id,
                              c.dflash->num_target_layers, fmt::join(c.dflash->target_layer_ids, ",")));
  }
  if (c.affine) add("affine", fmt::format("{} {}", c.affine->bits, c.affine->group));
  for (const auto& [module, affine] : c.affine_of) {
    add("affine_of", fmt::format("{} {} {}", module, affine.bits, affine.group));
  }
  return out;
}

void add_samples(std::span<const std::byte> bytes, std::string& out) {
  const auto add = [&](std::size_t first, std::size_t n) {
    out.append(reinterpret_cast<const char*>(bytes.data()) + first, n);
  };
  if (bytes.size() <= kSamples * kSampleBytes) return bytes.empty() ? void() : add(0, bytes.size());
  for (std::size_t i = 0; i < kSamples; ++i) {
    add((bytes.size() - kSampleBytes) * i / (kSamples - 1), kSampleBytes);
  }
}

}  // namespace

std::string model_fingerprint(const formats::ModelConfig& config, const formats::TensorStore& tensors,
                              std::string_view path) {
  std::string text = describe(config);
  if (tensors.tensors().empty()) text += fmt::format("weights {}\n", path);
  for (const auto& [name, view] : tensors.tensors()) {
    text += fmt::format("tensor {} {} {:d} {} {}\n", name, view.dtype_name, view.paired_rows,
                        fmt::join(view.shape, ","), view.bytes.size());
    add_samples(view.bytes, text);
    text += '\n';
  }
  return base::sha256_hex(text);
}

}  // namespace kakeya::model
