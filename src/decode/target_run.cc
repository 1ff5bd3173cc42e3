// Feeding the target.
#include "decode/target_run.h"

#include <algorithm>

namespace kakeya::decode {

Status TargetRun::feed(std::span<const Token> tokens, model::LogitRows rows,
                       std::span<const std::size_t> tap_layers) {
  model::ForwardRequest request;
  request.tokens = tokens;
  request.kv = &kv_;
  request.logit_rows = rows;
  request.tap_layers = tap_layers;
  ++forwards_;
  return model_.forward(compute_, request, scratch_, result_);
}

void TargetRun::keep(std::size_t length) {
  kv_.rewind_to(length);
  kv_.commit(length);
}

void TargetRun::begin() {
  kv_.reset();
  forwards_ = 0;
}

Result<std::size_t> prefill(TargetRun& target, Drafter* drafter, std::span<const Token> prompt) {
  KAKEYA_CHECK(!prompt.empty());
  target.begin();
  if (drafter != nullptr) drafter->begin();
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
