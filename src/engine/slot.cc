// A request in its slot, from its first pass to its last event.
#include "engine/slot.h"

#include <algorithm>

#include "engine/request_plan.h"

namespace kakeya::engine {

// Tokens that are run again so that the draft sees them, under Speculation::kAuto; a longer gap is decoded
// plainly.
constexpr std::size_t kDraftGapTokens = 256;

Slot::Slot(EngineState& state, SharedScratch& scratch, SessionOptions options, int id)
    : state_(state), scratch_(scratch), options_(std::move(options)), id_(id) {}

std::span<const Token> Slot::tokens() const {
  return has_caches() ? std::span(held_).first(std::min(held_.size(), caches_.kv->length()))
                      : std::span<const Token>();
}

std::size_t Slot::draft_length() const {
  return drafter_ ? std::min(drafter_->length(), tokens().size()) : 0;
}

Slot::KvBytes Slot::kv_bytes() const {
  const auto bytes = [](const kv::Cache* cache) {
    if (cache == nullptr) return std::size_t{0};
    const kv::Ledger held = cache->ledger();
    return held.codes_bytes + held.side_bytes;
  };
  return {bytes(caches_.kv.get()), bytes(caches_.draft_kv.get())};
}

std::size_t Slot::reusable(const ServiceRequest& request, std::size_t common, std::size_t observed) const {
  if (!request.reuse_prefix) return 0;
  const std::size_t kept = std::min(common, request.prompt.size() - 1);
  const decode::Drafter* drafter = drafter_ ? &*drafter_ : nullptr;
  const Speculation speculation = speculation_of(request.options, drafter);
  if (speculation == Speculation::kOff || observed >= kept) return kept;
  if (speculation == Speculation::kAuto && kept - observed > kDraftGapTokens) return kept;
  return observed;
}

void Slot::settle() {
  if (busy() || !target_ || target_->aside_tokens().empty()) return;
  if (drafter_ && !drafter_->observe(target_->aside_tokens(), target_->aside_taps()).ok()) drafter_->begin(0);
  target_->drop_aside();
}

Status Slot::take_channels(const std::string& kv, const std::string& draft_kv) {
  if (has_caches() && options_.kv == kv && options_.draft_kv == draft_kv) return {};
  decoder_.reset();
  drafter_.reset();
  target_.reset();
  caches_ = {};
  held_.clear();
  options_.kv = kv;
  options_.draft_kv = draft_kv;
  KAKEYA_ASSIGN(caches_, make_caches(state_, options_));
  target_.emplace(*state_.target, *caches_.kv, *scratch_.target, state_.compute);
  if (state_.draft) drafter_.emplace(*state_.draft, *caches_.draft_kv, *scratch_.draft, state_.compute);
  return {};
}

void Slot::erase() {
  held_.clear();
  if (!has_caches()) return;
  target_->begin();
  if (drafter_) drafter_->begin(0);
}

Status Slot::load(const Prefix& prefix) {
  erase();
  Status status = caches_.kv->load_rows(prefix.rows, prefix.tokens.size());
  if (status.ok() && drafter_) status = caches_.draft_kv->load_rows(prefix.draft_rows, prefix.draft_length);
  if (!status.ok()) {
    erase();
    return status;
  }
  held_ = prefix.tokens;
  return {};
}

Prefix Slot::save() const {
  Prefix out;
  out.kv = options_.kv;
  out.draft_kv = options_.draft_kv;
  out.tokens.assign(tokens().begin(), tokens().end());
  out.draft_length = draft_length();
  caches_.kv->save_rows(out.tokens.size(), out.rows);
  if (drafter_) caches_.draft_kv->save_rows(out.draft_length, out.draft_rows);
  return out;
}

Status Slot::start(Job job, std::size_t kept, std::uint64_t now) {
  const GenerateOptions& options = job.request.options;
  decode::Drafter* drafter = drafter_ ? &*drafter_ : nullptr;
  KAKEYA_ASSIGN(decode::DecodePlan plan, plan_request(state_, options, drafter));
  speculation_ = speculation_of(options, drafter);
  // A gap in what the draft observed: this request goes without it.
  const bool gap = drafter != nullptr && draft_length() < kept;
  if (drafter != nullptr && (speculation_ == Speculation::kOff || gap)) {
    drafter->begin(std::min(draft_length(), kept));
    drafter = nullptr;
    plan.block = {};
    speculation_ = Speculation::kOff;
  }
  policy_.reset();
  if (speculation_ == Speculation::kAuto) {
    policy_.emplace(state_.policy_memory, plan.block.width, plan.max_tokens);
    plan.policy = &*policy_;
  }
  stream_.reset();
  if (state_.tokenizer) stream_.emplace(*state_.tokenizer, true);
  scanner_.emplace(job.request.stop_strings);
  decoder_.emplace(*target_, drafter, std::move(plan));
  job_ = std::move(job);
  kept_ = kept;
  output_ = 0;
  stop_id_.reset();
  last_used_ = now;
  started_ms_ = first_ms_ = last_ms_ = job_->answer->elapsed_ms();
  held_ = job_->request.prompt;
  decoder_->begin(job_->request.prompt, kept);
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kStarted;
  event.slot = id_;
  event.prompt_tokens = job_->request.prompt.size();
  event.cached_tokens = kept;
  job_->answer->push(std::move(event));
  return {};
}

void Slot::progress() {
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kProgress;
  event.slot = id_;
  event.prompt_tokens = job_->request.prompt.size();
  event.cached_tokens = kept_;
  event.done = decoder_->prompt_done();
  job_->answer->push(std::move(event));
}

bool Slot::deliver(std::span<const Token> ids) {
  held_.insert(held_.end(), ids.begin(), ids.end());
  last_ms_ = job_->answer->elapsed_ms();
  const auto finished = decoder_->finished();
  ServiceEvent event;
  if (output_ == 0) {
    first_ms_ = last_ms_;
    event.prompt_logprobs.assign(decoder_->prompt_logprobs().begin(), decoder_->prompt_logprobs().end());
  }
  event.kind = ServiceEvent::Kind::kText;
  event.slot = id_;
  for (std::size_t i = 0; i < ids.size() && !scanner_->found(); ++i) {
    ++output_;
    const bool last = i + 1 == ids.size();
    const bool stop = last && finished == FinishReason::kStop;
    if (stop) stop_id_ = ids[i];
    std::string piece = stream_ ? stream_->push(ids[i]) : std::string();
    if (stream_ && last && finished) piece += stream_->finish();
    event.text += scanner_->push(piece);
    event.ids.push_back(ids[i]);
    event.drafted.push_back(i < decoder_->accepted() ? 1 : 0);
    if (!decoder_->logprobs().empty()) event.logprobs.push_back(decoder_->logprobs()[i]);
  }
  if (finished) event.text += scanner_->finish();
  job_->answer->push(std::move(event));
  return finished.has_value() || scanner_->found().has_value();
}

Completion Slot::complete(FinishReason finish) const {
  Completion out;
  out.finish = finish;
  if (scanner_->found()) out.stop_string = *scanner_->found();
  out.stop_id = stop_id_;
  out.usage.prompt_tokens = job_->request.prompt.size();
  out.usage.cached_tokens = kept_;
  out.usage.output_tokens = output_;
  out.usage.queued_ms = started_ms_;
  out.usage.prefill_ms = first_ms_ - started_ms_;
  out.usage.decode_ms = last_ms_ - first_ms_;
  out.cycles = decoder_->cycles();
  out.speculation = speculation_;
  if (policy_) out.policy = policy_->report();
  out.kv = options_.kv;
  if (drafter_) out.draft_kv = options_.draft_kv;
  out.slot = id_;
  return out;
}

Completion Slot::finish(std::optional<FinishReason> cut) {
  FinishReason reason = FinishReason::kStop;
  if (cut) {
    reason = *cut;
  } else if (!scanner_->found()) {
    reason = decoder_->finished().value_or(FinishReason::kCancelled);
  }
  if (policy_ && output_ > 0) policy_->finish();  // an answer that never began teaches nothing
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kFinished;
  event.slot = id_;
  Completion out = event.completion = complete(reason);
  job_->answer->push(std::move(event));
  // The next request may reuse what the draft sees now.
  if (!decoder_->in_prompt() && !decoder_->settle_or_leave().ok() && drafter_) drafter_->begin(0);
  release();
  return out;
}

void Slot::fail(Error error) {
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kFailed;
  event.slot = id_;
  event.error = std::move(error);
  job_->answer->push(std::move(event));
  release();
  erase();
}

void Slot::release() {
  decoder_.reset();
  policy_.reset();
  held_.resize(std::min(held_.size(), caches_.kv->length()));
  job_.reset();
}

}  // namespace kakeya::engine
