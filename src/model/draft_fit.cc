#include "model/draft_fit.h"

#include <fmt/format.h>

#include "base/thread_pool.h"
#include "model/layer.h"
#include "model/weights.h"

namespace kakeya::model {
namespace {

Error misfit(const std::string& draft, const char* key, const std::string& found,
             const std::string& expected) {
  return unsupported(fmt::format("{}: draft does not fit the target: {} is {}, the target has {}", draft, key,
                                 found, expected));
}

Status check_taps(const formats::DFlashConfig& dflash, const formats::ModelConfig& target,
                  const std::string& what) {
  if (dflash.num_target_layers != 0 && dflash.num_target_layers != target.layers) {
    return misfit(what, "num_target_layers", fmt::to_string(dflash.num_target_layers),
                  fmt::to_string(target.layers));
  }
  if (dflash.target_layer_ids.empty()) {
    return corrupt_data(fmt::format("{}: target_layer_ids is empty, expected at least one layer", what));
  }
  for (const std::size_t id : dflash.target_layer_ids) {
    // The reference taps the last layer after the final norm, every other layer before any norm.
    if (id + 1 >= target.layers) {
      return misfit(what, "a tapped layer in target_layer_ids", fmt::to_string(id),
                    fmt::format("{} layers, of which 0 to {} can be tapped", target.layers,
                                target.layers < 2 ? 0 : target.layers - 2));
    }
  }
  return {};
}

std::string rope_words(const formats::ModelConfig& config) {
  const formats::RopeScaling& scaling = config.rope_scaling;
  if (!scaling.llama3) return fmt::format("{}", config.rope_theta);
  return fmt::format("{} with llama3 scaling by {}", config.rope_theta, scaling.factor);
}

}  // namespace

Status check_draft_fit(const formats::ModelConfig& draft, const formats::ModelConfig& target,
                       const std::string& what) {
  KAKEYA_TRY(check_config(draft, what));
  if (draft.hidden_size != target.hidden_size) {
    return misfit(what, "hidden_size", fmt::to_string(draft.hidden_size), fmt::to_string(target.hidden_size));
  }
  if (draft.vocab_size != target.vocab_size) {
    return misfit(what, "vocab_size", fmt::to_string(draft.vocab_size), fmt::to_string(target.vocab_size));
  }
  const formats::DFlashConfig& dflash = *draft.dflash;
  KAKEYA_TRY(check_taps(dflash, target, what));
  if (dflash.mask_token_id < 0 || static_cast<std::size_t>(dflash.mask_token_id) >= target.vocab_size) {
    return misfit(what, "mask_token_id", fmt::to_string(dflash.mask_token_id),
                  fmt::format("a vocabulary of {}", target.vocab_size));
  }
  if (dflash.block_size < 2) {
    return corrupt_data(fmt::format("{}: block_size is {}, expected at least 2", what, dflash.block_size));
  }
  return {};
}

Status check_draft_tensors(const formats::ModelConfig& draft, const formats::TensorStore& store,
                           const std::string& what) {
  base::ThreadPool nobody(1);  // nothing is repacked
  FileWeights headers(store, draft, nobody, what, Reading::kHeaders);
  const std::size_t hidden = draft.hidden_size, taps = draft.dflash->target_layer_ids.size();
  KAKEYA_TRY(headers.matrix("fc.weight", hidden, taps * hidden));
  KAKEYA_TRY(headers.vector("hidden_norm.weight", hidden));
  for (std::size_t i = 0; i < draft.layers; ++i) KAKEYA_TRY(load_layer(headers, draft, "", i));
  KAKEYA_TRY(headers.vector("norm.weight", hidden));
  return {};
}

std::vector<std::string> draft_oddities(const formats::ModelConfig& draft,
                                        const formats::ModelConfig& target) {
  std::vector<std::string> out;
  if (rope_words(draft) != rope_words(target)) {
    out.push_back(
        fmt::format("rope_theta of the draft is {}, the target has {}: drafts have that of the target "
                    "they were trained for",
                    rope_words(draft), rope_words(target)));
  }
  if (draft.head_dim != target.head_dim) {
    out.push_back(
        fmt::format("head_dim of the draft is {}, the target has {}: drafts have that of the target "
                    "they were trained for",
                    draft.head_dim, target.head_dim));
  }
  return out;
}

}  // namespace kakeya::model
