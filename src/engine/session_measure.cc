// Forced reference, logits, perplexity and the memory ledger.
#include <fmt/format.h>

#include <algorithm>

#include "decode/embed.h"
#include "decode/fidelity.h"
#include "decode/forced.h"
#include "engine/request_plan.h"
#include "engine/session_impl.h"

namespace kakeya::engine {
namespace {

KvLedger to_ledger(const std::string& channel, const kv::Cache& cache) {
  const kv::Ledger held = cache.ledger();
  KvLedger out;
  out.channel = channel;
  out.bits_allocated = held.bits_allocated;
  out.bits_formula = held.bits_formula;
  out.codes_bytes = held.codes_bytes;
  out.side_bytes = held.side_bytes;
  out.scratch_bytes = held.scratch_bytes;
  out.peak_bytes = held.peak_bytes;
  out.vectors_capacity = held.vectors_capacity;
  out.vectors_stored = held.vectors_stored;
  const auto& counters = cache.counters();
  for (std::size_t i = 0; i < counters.size(); ++i) {
    out.layers.push_back({cache.layer_channel(i), counters[i].codec_fired_calls,
                          counters[i].codec_fired_vectors, counters[i].skip_fired_calls,
                          counters[i].skip_fired_vectors});
  }
  return out;
}

}  // namespace

Status SessionImpl::check_forced(const ForcedRequest& request) const {
  KAKEYA_TRY(check_ids(*state_, "prompt", request.prompt));
  KAKEYA_TRY(check_ids(*state_, "reference", request.reference));
  KAKEYA_TRY(check_length(*state_, "forced reference", request.prompt.size(), request.reference.size(),
                          options_.max_tokens));
  if (!request.anchors.empty() && !drafter_) {
    return invalid_argument("forced reference: anchors need a draft, and the engine was opened without one");
  }
  for (std::size_t i = 0; i < request.anchors.size(); ++i) {
    const std::size_t anchor = request.anchors[i];
    if (anchor >= request.reference.size()) {
      return invalid_argument(
          fmt::format("forced reference: anchor {} is {}, expected less than {}, the length of "
                      "the reference",
                      i, anchor, request.reference.size()));
    }
    if (i > 0 && anchor <= request.anchors[i - 1]) {
      return invalid_argument(
          fmt::format("forced reference: anchor {} is {}, expected more than the one before, {}", i, anchor,
                      request.anchors[i - 1]));
    }
  }
  return {};
}

Result<decode::BlockPlan> SessionImpl::forced_block(const ForcedRequest& request) const {
  if (!drafter_) return decode::BlockPlan();
  return decode::plan_block(drafter_->block_size(), request.block_size, request.verify_width);
}

Result<ForcedResult> SessionImpl::forced_reference(const ForcedRequest& request) {
  KAKEYA_TRY(check_forced(request));
  decode::ForcedPlan plan;
  plan.prompt = request.prompt;
  plan.reference = request.reference;
  plan.anchors = request.anchors;
  KAKEYA_ASSIGN(plan.block, forced_block(request));
  decode::Drafter* drafter = drafter_ && !request.anchors.empty() ? &*drafter_ : nullptr;
  const std::lock_guard turn(state_->pool_mutex);
  if (options_.kv == "bf16") return decode::ForcedRun(target_, nullptr, drafter, plan).run();

  kv::CacheOptions shadow_options;
  KAKEYA_ASSIGN(shadow_options.channel, kv::parse_channel("bf16"));
  shadow_options.max_tokens = kv_->max_tokens();
  KAKEYA_ASSIGN(const auto shadow, kv::Cache::create(kv_->shape(), shadow_options));
  decode::TargetRun baseline(*state_->target, *shadow, *scratch_, state_->compute);
  return decode::ForcedRun(target_, &baseline, drafter, plan).run();
}

Result<LogitResult> SessionImpl::logits(std::span<const Token> ids, LogitSelection rows, bool taps) {
  KAKEYA_TRY(check_ids(*state_, "ids", ids));
  KAKEYA_TRY(check_length(*state_, "logits", ids.size(), 0, options_.max_tokens));
  if (taps && !drafter_) {
    return invalid_argument(
        "logits: taps are the states of the draft's layers, and the engine was opened without a "
        "draft");
  }
  const auto layers = taps ? drafter_->tap_layers() : std::span<const std::size_t>();
  const std::lock_guard turn(state_->pool_mutex);
  target_.begin();
  KAKEYA_TRY(target_.feed(
      ids, rows == LogitSelection::kAll ? model::LogitRows::kAll : model::LogitRows::kLast, layers));
  target_.keep(ids.size());
  LogitResult out;
  const auto logit_rows = target_.logits();
  out.rows = logit_rows.rows;
  out.vocab = logit_rows.cols;
  out.logits.assign(logit_rows.data, logit_rows.data + logit_rows.rows * logit_rows.cols);
  if (taps) {
    const auto tap_rows = target_.taps();
    out.tap_rows = tap_rows.rows;
    out.tap_width = tap_rows.cols;
    out.taps.assign(tap_rows.data, tap_rows.data + tap_rows.rows * tap_rows.cols);
  }
  return out;
}

Result<PerplexityResult> SessionImpl::perplexity(std::span<const Token> ids, std::size_t ctx) {
  KAKEYA_TRY(check_ids(*state_, "text", ids));
  const std::size_t window = ctx == 0 ? options_.max_tokens : ctx;
  if (window < 2 || window > options_.max_tokens) {
    return invalid_argument(fmt::format("perplexity: ctx is {}, expected 2 to {}, the session's max_tokens",
                                        window, options_.max_tokens));
  }
  const std::lock_guard turn(state_->pool_mutex);
  PerplexityResult out;
  for (std::size_t first = 0; first + 1 < ids.size(); first += window) {
    const auto tokens = ids.subspan(first, std::min(window, ids.size() - first));
    target_.begin();
    for (std::size_t done = 0; done + 1 < tokens.size();) {
      const auto piece = tokens.subspan(done, std::min(decode::kScoredRows, tokens.size() - 1 - done));
      KAKEYA_TRY(target_.feed(piece, model::LogitRows::kAll, {}));
      done += piece.size();
      target_.keep(done);
      for (std::size_t i = 0; i < piece.size(); ++i) {
        out.nll_sum +=
            decode::negative_log_likelihood(target_.logits().row(i), tokens[done - piece.size() + i + 1]);
        ++out.tokens;
      }
    }
  }
  return out;
}

Result<std::vector<float>> SessionImpl::embed(std::span<const Token> ids) {
  KAKEYA_TRY(check_ids(*state_, "embed", ids));
  KAKEYA_TRY(check_length(*state_, "embed", ids.size(), 0, options_.max_tokens));
  const std::lock_guard turn(state_->pool_mutex);
  return decode::embed(target_, *state_->target, state_->compute, ids);
}

MemoryLedger SessionImpl::ledger() const {
  MemoryLedger out;
  out.target = to_ledger(options_.kv, *kv_);
  if (draft_kv_) out.draft = to_ledger(options_.draft_kv, *draft_kv_);
  out.taps_bytes = target_.taps_bytes();
  out.model_scratch_bytes = scratch_->bytes() + target_.logits_bytes();
  if (drafter_) out.model_scratch_bytes += draft_scratch_->bytes() + drafter_->buffer_bytes();
  return out;
}

}  // namespace kakeya::engine
