// Summaries of models and their memory, without loading them.
#include <fmt/format.h>
#include <kakeya/estimate.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "engine/model_place.h"
#include "engine/tokenizer_match.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "kv/channel.h"
#include "kv/page_list.h"
#include "model/draft_fit.h"
#include "model/fingerprint.h"
#include "model/memory_estimate.h"
#include "model/model.h"
#include "model/random_weights.h"

namespace kakeya {
namespace {

engine::Role role_of(ModelRole role) {
  return role == ModelRole::kTarget ? engine::Role::kTarget : engine::Role::kDraft;
}

struct Files {
  engine::ModelPlace place;
  formats::ModelConfig config;
  formats::TensorStore store;  // empty for random weights
  std::optional<kernels::WeightType> random;
};

Result<Files> open_files(const std::string& name, ModelRole role, const std::string& share_dir) {
  Files files;
  KAKEYA_ASSIGN(files.place, engine::find_model(name, role_of(role), share_dir));
  const std::string& path = files.place.directory;
  if (model::is_random_model(path)) {
    KAKEYA_ASSIGN(model::RandomModel random, model::parse_random_model(path));
    files.config = std::move(random.config);
    files.random = random.type;
  } else {
    KAKEYA_ASSIGN(files.config, formats::load_model_config(path));
    KAKEYA_ASSIGN(files.store, formats::TensorStore::open(path));
  }
  const bool draft = files.config.dflash.has_value();
  if (draft == (role == ModelRole::kDraft)) return files;
  return unsupported(fmt::format("{}: found a {}, expected a {}", path, draft ? "DFlash draft" : "target",
                                 draft ? "target" : "DFlash draft"));
}

// Of the matrices, by share, in the words of ModelInfo::dtype.
std::string dtype_of(const Files& files) {
  if (files.random) return kernels::to_string(*files.random);
  std::map<std::string, std::uint64_t> bytes_of;
  for (const auto& [name, view] : files.store.tensors()) {
    if (view.shape.size() < 2 || name.ends_with(".scales") || name.ends_with(".biases")) continue;
    std::string dtype = formats::to_string(view.dtype);
    std::ranges::transform(dtype, dtype.begin(), [](unsigned char c) { return std::tolower(c); });
    if (view.dtype == formats::Dtype::kU32 && files.config.affine) {
      dtype = fmt::format("affine{}", files.config.affine->bits);
    }
    bytes_of[dtype] += view.bytes.size();
  }
  std::vector<std::pair<std::string, std::uint64_t>> shares(bytes_of.begin(), bytes_of.end());
  std::ranges::stable_sort(shares, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out;
  for (const auto& [dtype, bytes] : shares) out += (out.empty() ? "" : "+") + dtype;
  return out;
}

struct CacheNeed {
  double per_token = 0;
  std::uint64_t bytes = 0;
};

// Bytes of K and V of one token in one layer.
Result<std::uint64_t> layer_bytes(const ModelInfo& info, const std::string& channel) {
  KAKEYA_ASSIGN(const kv::Channel parsed, kv::parse_channel(channel));
  KAKEYA_ASSIGN(const auto codec, kv::make_codec(parsed, info.head_dim));
  return std::uint64_t{2} * info.kv_heads * codec->row_bytes();
}

Result<CacheNeed> cache_need(const ModelInfo& info, const std::string& channel, int boundary,
                             std::size_t tokens) {
  if (boundary < 0) {
    return invalid_argument(fmt::format("boundary is {}, expected 0 or more layers", boundary));
  }
  KAKEYA_ASSIGN(const std::uint64_t inner, layer_bytes(info, channel));
  KAKEYA_ASSIGN(const std::uint64_t outer, layer_bytes(info, "bf16"));
  const std::uint64_t plain = std::min<std::uint64_t>(info.layers, 2 * static_cast<std::uint64_t>(boundary));
  const std::uint64_t a_token = plain * outer + (info.layers - plain) * inner;
  const std::uint64_t pages = (tokens + kv::kPageTokens - 1) / kv::kPageTokens;
  return CacheNeed{static_cast<double>(a_token), pages * kv::kPageTokens * a_token};
}

}  // namespace

Result<ModelSummary> summarize_model(const std::string& name, ModelRole role, const std::string& share_dir) {
  KAKEYA_ASSIGN(const Files files, open_files(name, role, share_dir));
  const formats::ModelConfig& config = files.config;
  const model::MemoryEstimate estimate =
      model::estimate_memory(config, files.random.value_or(kernels::WeightType::kBf16), 0);
  ModelSummary out;
  ModelInfo& info = out.info;
  info.id = files.place.id;
  info.path = files.place.directory;
  info.dtype = dtype_of(files);
  info.architecture = formats::to_string(config.architecture);
  info.parameters = estimate.parameters;
  info.weight_bytes = files.random ? estimate.weight_bytes : files.store.total_bytes();
  info.layers = config.layers;
  info.hidden_size = config.hidden_size;
  info.heads = config.heads;
  info.kv_heads = config.kv_heads;
  info.head_dim = config.head_dim;
  info.vocab_size = config.vocab_size;
  info.max_position_embeddings = config.max_position_embeddings;
  info.random_weights = files.random.has_value();
  if (config.dflash) {
    info.block_size = config.dflash->block_size;
    info.target_layer_ids = config.dflash->target_layer_ids;
  }
  out.tensors = files.store.tensors().size();
  out.files = files.store.files().size();
  out.scratch_bytes = estimate.scratch_bytes;
  return out;
}

Result<std::string> model_fingerprint(const std::string& name, ModelRole role, const std::string& share_dir) {
  KAKEYA_ASSIGN(const Files files, open_files(name, role, share_dir));
  return model::model_fingerprint(files.config, files.store, files.place.directory);
}

Result<std::vector<std::string>> check_pair(const std::string& target, const std::string& draft,
                                            const std::string& share_dir) {
  KAKEYA_ASSIGN(const Files ours, open_files(target, ModelRole::kTarget, share_dir));
  KAKEYA_ASSIGN(const Files theirs, open_files(draft, ModelRole::kDraft, share_dir));
  const std::string& what = theirs.place.directory;
  KAKEYA_TRY(model::check_draft_fit(theirs.config, ours.config, what));
  if (!theirs.random) KAKEYA_TRY(model::check_draft_tensors(theirs.config, theirs.store, what));
  std::vector<std::string> odd = model::draft_oddities(theirs.config, ours.config);
  if (ours.random || theirs.random) return odd;
  KAKEYA_ASSIGN(const std::string other, engine::other_tokenizer(ours.place.directory, what));
  if (!other.empty()) odd.push_back(other);
  return odd;
}

Result<MemoryNeed> estimate_memory(const ModelSummary& target, const ModelSummary* draft,
                                   const MemoryQuestion& question) {
  MemoryNeed need;
  KAKEYA_ASSIGN(const CacheNeed kv, cache_need(target.info, question.kv, question.boundary, question.tokens));
  need.weights = target.info.weight_bytes;
  need.kv = kv.bytes;
  need.kv_per_token = kv.per_token;
  need.scratch = target.scratch_bytes;
  if (draft == nullptr) return need;
  KAKEYA_ASSIGN(const CacheNeed draft_kv, cache_need(draft->info, question.draft_kv, 0, question.tokens));
  need.draft_weights = draft->info.weight_bytes;
  need.draft_kv = draft_kv.bytes;
  need.draft_kv_per_token = draft_kv.per_token;
  // Tapped states of one chunk, float: [rows, taps * hidden].
  need.scratch += draft->scratch_bytes + std::uint64_t{4} * model::kMaxChunkRows *
                                             draft->info.target_layer_ids.size() * target.info.hidden_size;
  return need;
}

}  // namespace kakeya
