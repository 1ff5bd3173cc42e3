// Feeding the target.
#include "decode/target_run.h"

#include <algorithm>

namespace kakeya::decode {

model::ForwardRequest TargetRun::stage(std::span<const Token> tokens, model::LogitRows rows,
                                       std::span<const std::size_t> tap_layers) {
  model::ForwardRequest request;
  request.tokens = tokens;
  request.kv = &kv_;
  request.logit_rows = rows;
  request.tap_layers = tap_layers;
  ++forwards_;
  return request;
}

Status TargetRun::feed(std::span<const Token> tokens, model::LogitRows rows,
                       std::span<const std::size_t> tap_layers) {
  return model_.forward(compute_, stage(tokens, rows, tap_layers), scratch_, result_);
}

void TargetRun::keep(std::size_t length) {
  kv_.rewind_to(length);
  kv_.commit(length);
}

void TargetRun::put_aside(std::span<const Token> tokens) {
  const Rows<const float> rows = taps();
  KAKEYA_CHECK(rows.cols == 0 || tokens.size() <= rows.rows);  // no columns: nothing was tapped
  KAKEYA_CHECK(aside_tokens_.size() + tokens.size() <= kPrefillRows);
  aside_tokens_.insert(aside_tokens_.end(), tokens.begin(), tokens.end());
  aside_taps_.insert(aside_taps_.end(), rows.data, rows.data + tokens.size() * rows.cols);
}

Rows<const float> TargetRun::aside_taps() const {
  const std::size_t rows = aside_tokens_.size();
  return {aside_taps_.data(), rows, rows == 0 ? 0 : aside_taps_.size() / rows};
}

void TargetRun::drop_aside() {
  aside_tokens_.clear();
  aside_taps_.clear();
}

void TargetRun::begin(std::size_t kept) {
  KAKEYA_CHECK(kept <= kv_.length());
  drop_aside();
  kv_.truncate(kept);
  forwards_ = 0;
}

Result<std::size_t> prefill(TargetRun& target, Drafter* drafter, std::span<const Token> prompt) {
  KAKEYA_CHECK(!prompt.empty());
  target.begin();
  if (drafter != nullptr) drafter->begin(0);
  const auto taps = drafter != nullptr ? drafter->tap_layers() : std::span<const std::size_t>();
  for (std::size_t done = 0;;) {
    const auto piece = prompt.subspan(done, std::min(kPrefillRows, prompt.size() - done));
    done += piece.size();
    const bool last = done == prompt.size();
    KAKEYA_TRY(target.feed(piece, last ? model::LogitRows::kLast : model::LogitRows::kNone, taps));
    target.keep(done);
    if (last) return piece.size();
    if (drafter != nullptr) KAKEYA_TRY(drafter->observe(piece, target.taps()));
  }
}

}  // namespace kakeya::decode
