// Loading and the forward pass of Qwen3 and Llama targets. The layer itself is in layer.cc.
#include "model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "model/layer.h"
#include "model/random_weights.h"
#include "model/rope.h"
#include "model/scratch.h"
#include "model/weights.h"

namespace kakeya::model {
namespace {

class TransformerModel final : public Model {
 public:
  TransformerModel(formats::ModelConfig config, formats::TensorStore store)
      : config_(std::move(config)),
        store_(std::move(store)),
        rope_(config_.head_dim, config_.rope_theta, config_.rope_scaling) {}

  Status load_weights(WeightLoader& loader, const std::string& what);

  const formats::ModelConfig& config() const override { return config_; }
  const formats::TensorStore& tensors() const override { return store_; }
  std::string dtype() const override { return dtype_; }
  bool quantised() const override { return kernels::is_quantised(layers_.front().q.type); }
  std::size_t parameters() const override { return parameters_; }
  std::size_t weight_bytes() const override { return model::weight_bytes(store_, owned_); }
  kv::KvShape kv_shape() const override { return {config_.layers, config_.kv_heads, config_.head_dim}; }
  const Weight& embedding() const override { return embedding_; }
  const Weight& head() const override { return head_; }
  void normalise(const Compute& compute, Rows<float> states) const override;
  ScratchPtr make_scratch() const override { return ScratchPtr(new Scratch()); }
  using Model::forward;
  Status forward(const Compute& compute, std::span<const ForwardRequest> requests, Scratch& scratch,
                 std::span<ForwardResult* const> results) const override;

 private:
  // Rows [first, first + rows) of one request in a pass.
  struct Piece {
    const ForwardRequest* request = nullptr;
    ForwardResult* result = nullptr;
    std::size_t start = 0;  // position of the request's first token
    std::size_t first = 0, rows = 0;
    std::size_t at = 0;  // row of the pass

    std::size_t position() const { return start + first; }
    // Rows of the piece whose logits are asked for, the last ones.
    std::size_t logit_rows() const {
      if (request->logit_rows == LogitRows::kAll) return rows;
      return request->logit_rows == LogitRows::kLast && first + rows == request->tokens.size() ? 1 : 0;
    }
  };

  Status check_request(const ForwardRequest& request) const;
  void prepare_result(const ForwardRequest& request, ForwardResult& result) const;
  Status forward_pieces(const Compute& compute, std::span<const Piece> pieces, Scratch& scratch) const;
  void embed(const Compute& compute, const Piece& piece, Scratch& scratch) const;
  Status copy_taps(const Compute& compute, const Piece& piece, std::size_t layer,
                   Rows<const float> hidden) const;
  Status run_logits(const Compute& compute, std::span<const Piece> pieces, Scratch& scratch) const;

  formats::ModelConfig config_;
  formats::TensorStore store_;
  WeightMemory owned_;
  Rope rope_;
  Weight embedding_, head_;
  std::vector<LayerWeights> layers_;
  std::vector<float> norm_;
  std::string dtype_;
  std::size_t parameters_ = 0;
};

Status TransformerModel::load_weights(WeightLoader& loader, const std::string& what) {
  KAKEYA_TRY(check_config(config_, what));
  const MatrixUse use = {.lookup_only = !config_.tie_word_embeddings};
  KAKEYA_ASSIGN(embedding_,
                loader.matrix("model.embed_tokens.weight", config_.vocab_size, config_.hidden_size, use));
  for (std::size_t i = 0; i < config_.layers; ++i) {
    KAKEYA_ASSIGN(LayerWeights layer, load_layer(loader, config_, "model.", i));
    layers_.push_back(std::move(layer));
  }
  KAKEYA_ASSIGN(norm_, loader.vector("model.norm.weight", config_.hidden_size));
  head_ = embedding_;
  if (!config_.tie_word_embeddings) {
    KAKEYA_ASSIGN(head_, loader.matrix("lm_head.weight", config_.vocab_size, config_.hidden_size));
  }
  dtype_ = loader.matrix_dtype();
  parameters_ = loader.parameters();
  owned_ = loader.take_owned();
  return {};
}

Status TransformerModel::check_request(const ForwardRequest& request) const {
  KAKEYA_CHECK(request.kv != nullptr);
  const kv::KvShape& shape = request.kv->shape();
  KAKEYA_CHECK(shape.layers == config_.layers && shape.kv_heads == config_.kv_heads &&
               shape.head_dim == config_.head_dim);
  if (request.tokens.empty()) return invalid_argument("forward pass: no tokens");
  for (const Token token : request.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= config_.vocab_size) {
      return invalid_argument(
          fmt::format("forward pass: token id {}, expected 0 to {}", token, config_.vocab_size - 1));
    }
  }
  for (const std::size_t layer : request.tap_layers) {
    if (layer >= config_.layers) {
      return invalid_argument(
          fmt::format("forward pass: tapped layer {}, expected 0 to {}", layer, config_.layers - 1));
    }
  }
  const std::size_t end = request.kv->length() + request.tokens.size();
  if (end > request.kv->max_tokens()) {
    return Error{ErrorCode::kOutOfMemory,
                 fmt::format("forward pass: {} tokens, expected at most {} in this KV cache", end,
                             request.kv->max_tokens())};
  }
  return {};
}

void TransformerModel::normalise(const Compute& compute, Rows<float> states) const {
  KAKEYA_CHECK(states.cols == config_.hidden_size);
  norm_rows(compute, states, norm_, config_.rms_norm_eps, states, {});
}

void TransformerModel::prepare_result(const ForwardRequest& request, ForwardResult& result) const {
  const std::size_t n = request.tokens.size();
  result.vocab = config_.vocab_size;
  result.logit_count = request.logit_rows == LogitRows::kAll    ? n
                       : request.logit_rows == LogitRows::kLast ? 1
                                                                : 0;
  result.tap_count = request.tap_layers.empty() ? 0 : n;
  result.tap_width = request.tap_layers.size() * config_.hidden_size;
  result.shared_logits = nullptr;
  grow(result.taps_data, result.tap_count * result.tap_width);
}

Status TransformerModel::forward(const Compute& compute, std::span<const ForwardRequest> requests,
                                 Scratch& scratch, std::span<ForwardResult* const> results) const {
  KAKEYA_CHECK(!requests.empty() && requests.size() == results.size() && requests.size() <= kMaxSequences);
  std::array<Piece, kMaxSequences> memory;
  const std::span<Piece> pieces = std::span(memory).first(requests.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ForwardRequest& request = requests[i];
    KAKEYA_TRY(check_request(request));
    prepare_result(request, *results[i]);
    pieces[i] = {&request, results[i], request.kv->length(), 0, request.tokens.size(), total};
    total += request.tokens.size();
  }
  const bool alone = requests.size() == 1;
  KAKEYA_CHECK(alone || total <= kMaxChunkRows);
  if (alone) grow(results[0]->logits_data, results[0]->logit_count * config_.vocab_size);
  scratch.reserve(config_, std::min(total, kMaxChunkRows));

  Status status;
  if (!alone) status = forward_pieces(compute, pieces, scratch);
  for (std::size_t first = 0; alone && status.ok() && first < total; first += kMaxChunkRows) {
    const Piece& whole = pieces.front();
    const Piece chunk{whole.request, whole.result, whole.start, first,
                      std::min(kMaxChunkRows, total - first)};
    status = forward_pieces(compute, {&chunk, 1}, scratch);
  }
  if (!status.ok()) {
    for (const Piece& piece : pieces) piece.request->kv->rewind_to(piece.start);
  }
  return status;
}

Status TransformerModel::copy_taps(const Compute& compute, const Piece& piece, std::size_t layer,
                                   Rows<const float> hidden) const {
  const Rows<float> taps = piece.result->taps();
  const auto layers = piece.request->tap_layers;
  bool tapped = false;
  for (std::size_t t = 0; t < layers.size(); ++t) {
    if (layers[t] != layer) continue;
    tapped = true;
    for (std::size_t r = 0; r < hidden.rows; ++r) {
      std::ranges::copy(hidden.row(r),
                        taps.row(piece.first + r).begin() + static_cast<std::ptrdiff_t>(t * hidden.cols));
    }
  }
  return tapped ? check_finite(compute, hidden, "tapped state", piece.position()) : Status{};
}

void TransformerModel::embed(const Compute& compute, const Piece& piece, Scratch& s) const {
  const std::size_t width = config_.hidden_size, window = config_.sliding_window;
  for (std::size_t r = 0; r < piece.rows; ++r) {
    const auto token = static_cast<std::size_t>(piece.request->tokens[piece.first + r]);
    compute.ops->load_row(embedding_, token, s.hidden.data() + (piece.at + r) * width);
    const std::size_t seen = piece.position() + r + 1;
    s.full[piece.at + r] = {0, seen};
    s.sliding[piece.at + r] = {seen > window ? seen - window : 0, seen};
  }
  fill_angles(rope_, piece.position(), piece.at, piece.rows, s);
}

Status TransformerModel::forward_pieces(const Compute& compute, std::span<const Piece> pieces,
                                        Scratch& s) const {
  std::array<Segment, kMaxSequences> segments;
  std::size_t n = 0, logit_rows = 0;
  bool last_tapped = false;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    embed(compute, piece, s);
    segments[i] = {piece.request->kv, piece.at, piece.rows, piece.position()};
    n += piece.rows;
    logit_rows += piece.logit_rows();
    const auto layers = piece.request->tap_layers;
    last_tapped = last_tapped || std::ranges::find(layers, config_.layers - 1) != layers.end();
  }
  const Rows<float> hidden{s.hidden.data(), n, config_.hidden_size};
  const Pass pass{config_, std::span(segments).first(pieces.size()), s, n};
  // Nothing reads the last layer's output except logits and its tap.
  const std::size_t last_needed = logit_rows == 0 || pieces.size() == 1 ? n - logit_rows : 0;
  for (std::size_t i = 0; i < config_.layers; ++i) {
    const std::size_t first_needed = i + 1 == config_.layers && !last_tapped ? last_needed : 0;
    KAKEYA_TRY(run_layer(compute, pass, layers_[i], i, first_needed));
    for (const Piece& piece : pieces) {
      KAKEYA_TRY(copy_taps(compute, piece, i, hidden.sub(piece.at, piece.rows)));
    }
  }
  return logit_rows == 0 ? Status{} : run_logits(compute, pieces, s);
}

Status TransformerModel::run_logits(const Compute& compute, std::span<const Piece> pieces, Scratch& s) const {
  const std::size_t width = config_.hidden_size;
  const Piece& first = pieces.front();
  if (pieces.size() == 1) {
    const std::size_t rows = first.logit_rows(), from = first.rows - rows;
    const std::size_t row = first.request->logit_rows == LogitRows::kAll ? first.first : 0;
    const Rows<float> hidden{s.hidden.data() + from * width, rows, width};
    return project_logits(compute, {head_, norm_, config_.rms_norm_eps, "logits", first.position() + from},
                          hidden, {s.normed.data(), rows, width}, first.result->logits().sub(row, rows));
  }
  // The wanted rows of all sequences, one after the other.
  std::size_t rows = 0;
  for (const Piece& piece : pieces) {
    const std::size_t wanted = piece.logit_rows();
    std::copy_n(s.hidden.data() + (piece.at + piece.rows - wanted) * width, wanted * width,
                s.projected.data() + rows * width);
    rows += wanted;
  }
  grow(s.logits, rows * config_.vocab_size);
  std::size_t row = 0;
  for (const Piece& piece : pieces) {
    piece.result->shared_logits = s.logits.data() + row * config_.vocab_size;
    row += piece.logit_rows();
  }
  return project_logits(compute, {head_, norm_, config_.rms_norm_eps, "logits", first.position()},
                        {s.projected.data(), rows, width}, {s.normed.data(), rows, width},
                        {s.logits.data(), rows, config_.vocab_size});
}

}  // namespace

Result<std::unique_ptr<const Model>> Model::load(const std::string& path, base::ThreadPool& pool) {
  if (is_random_model(path)) {
    KAKEYA_ASSIGN(RandomModel random, parse_random_model(path));
    if (random.config.dflash) return unsupported(fmt::format("{}: a draft, expected a target", path));
    auto model = std::make_unique<TransformerModel>(std::move(random.config), formats::TensorStore());
    RandomWeights loader(random.type, pool);
    KAKEYA_TRY(model->load_weights(loader, path));
    return std::unique_ptr<const Model>(std::move(model));
  }
  KAKEYA_ASSIGN(formats::ModelConfig config, formats::load_model_config(path));
  if (config.architecture == formats::Architecture::kDFlashDraft) {
    return unsupported(
        fmt::format("{}: architecture {}, expected a target (qwen3 or llama); it may be the draft", path,
                    formats::to_string(config.architecture)));
  }
  KAKEYA_ASSIGN(formats::TensorStore store, formats::TensorStore::open(path));
  auto model = std::make_unique<TransformerModel>(std::move(config), std::move(store));
  FileWeights loader(model->tensors(), model->config(), pool, path);
  KAKEYA_TRY(model->load_weights(loader, path));
  return std::unique_ptr<const Model>(std::move(model));
}

}  // namespace kakeya::model
