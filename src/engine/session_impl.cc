// Generation; the measuring calls are in session_measure.cc.
#include "engine/session_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/request_plan.h"

namespace kakeya {

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "?";
}

const char* to_string(Speculation speculation) {
  switch (speculation) {
    case Speculation::kAuto:
      return "auto";
    case Speculation::kFixed:
      return "fixed";
    case Speculation::kOff:
      return "off";
  }
  return "?";
}

const char* to_string(ModeReason reason) {
  switch (reason) {
    case ModeReason::kMeasure:
      return "measure";
    case ModeReason::kOpening:
      return "opening";
    case ModeReason::kGain:
      return "gain";
    case ModeReason::kWidth:
      return "width";
    case ModeReason::kProbe:
      return "probe";
    case ModeReason::kNoGain:
      return "no gain";
    case ModeReason::kBudget:
      return "budget";
    case ModeReason::kEnd:
      return "end";
    case ModeReason::kHistory:
      return "history";
  }
  return "?";
}

namespace engine {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

Result<std::unique_ptr<Session>> make_session(std::shared_ptr<EngineState> state,
                                              const SessionOptions& options) {
  return SessionImpl::create(std::move(state), options);
}

Result<std::unique_ptr<Session>> SessionImpl::create(std::shared_ptr<EngineState> state,
                                                     const SessionOptions& options) {
  KAKEYA_ASSIGN(SessionCaches caches, make_caches(*state, options));
  return std::unique_ptr<Session>(new SessionImpl(std::move(state), std::move(caches)));
}

SessionImpl::SessionImpl(std::shared_ptr<EngineState> state, SessionCaches caches)
    : state_(std::move(state)),
      options_(caches.options),
      kv_(std::move(caches.kv)),
      draft_kv_(std::move(caches.draft_kv)),
      scratch_(state_->target->make_scratch()),
      target_(*state_->target, *kv_, *scratch_, state_->compute) {
  if (!state_->draft) return;
  draft_scratch_ = state_->draft->make_scratch();
  drafter_.emplace(*state_->draft, *draft_kv_, *draft_scratch_, state_->compute);
}

Result<Generation> SessionImpl::generate(std::span<const Token> prompt, const GenerateOptions& options,
                                         const EventSink& sink) {
  const decode::Drafter* available = drafter_ ? &*drafter_ : nullptr;
  KAKEYA_TRY(check_ids(*state_, "prompt", prompt));
  if (options.max_tokens < 1) {
    return invalid_argument(
        fmt::format("generate: max_tokens is {}, expected at least 1", options.max_tokens));
  }
  KAKEYA_ASSIGN(decode::DecodePlan decode_plan, plan_request(*state_, options, available));
  KAKEYA_TRY(check_length(*state_, "generate", prompt.size(), decode_plan.max_tokens, options_.max_tokens));
  Generation out;
  out.speculation = speculation_of(options, available);
  std::optional<decode::AutoPolicy> policy;
  if (out.speculation == Speculation::kAuto) {
    const std::lock_guard turn(state_->pool_mutex);
    policy.emplace(state_->policy_memory, decode_plan.block.width, decode_plan.max_tokens);
    decode_plan.policy = &*policy;
  }
  decode::Drafter* drafter = out.speculation != Speculation::kOff ? &*drafter_ : nullptr;
  decode::SpeculativeDecoder decoder(target_, drafter, std::move(decode_plan));
  KAKEYA_TRY(run(decoder, prompt, sink, out));
  if (policy) {
    const std::lock_guard turn(state_->pool_mutex);
    policy->finish();
    out.policy = policy->report();
  }
  out.prompt_logprobs.assign(decoder.prompt_logprobs().begin(), decoder.prompt_logprobs().end());
  out.cycles = decoder.cycles();
  out.target_forwards = decoder.target_forwards();
  out.timings.draft_ms = decoder.draft_ms();
  out.timings.verify_ms = decoder.verify_ms();
  return out;
}

Status SessionImpl::run(decode::SpeculativeDecoder& decoder, std::span<const Token> prompt,
                        const EventSink& sink, Generation& out) {
  std::optional<text::StreamDecoder> stream;
  if (state_->tokenizer) stream.emplace(*state_->tokenizer, true);
  // False when the caller wants to stop.
  const auto deliver = [&](std::span<const Token> ids, bool last) {
    std::string piece;
    for (const Token id : ids) {
      if (stream) piece += stream->push(id);
    }
    if (last && stream) piece += stream->finish();
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.text += piece;
    out.logprobs.insert(out.logprobs.end(), decoder.logprobs().begin(), decoder.logprobs().end());
    return !sink || sink(piece, ids);
  };

  const auto start = Clock::now();
  Token first = 0;
  {
    const std::lock_guard turn(state_->pool_mutex);
    KAKEYA_ASSIGN(first, decoder.start(prompt));
  }
  out.timings.prefill_ms = out.timings.ttft_ms = ms_since(start);
  const auto first_at = Clock::now();
  bool wanted = deliver(std::span(&first, 1), decoder.finished().has_value());
  while (wanted && !decoder.finished()) {
    std::span<const Token> ids;
    {
      const std::lock_guard turn(state_->pool_mutex);
      KAKEYA_ASSIGN(ids, decoder.step());
    }
    out.timings.decode_ms = ms_since(first_at);
    wanted = deliver(ids, decoder.finished().has_value());
  }
  out.finish = decoder.finished().value_or(FinishReason::kCancelled);
  if (out.finish == FinishReason::kCancelled && stream) out.text += stream->finish();
  // Nobody reads the draft's cache after the request; kAuto spends no time on completing it.
  if (out.speculation == Speculation::kAuto) return {};
  const std::lock_guard turn(state_->pool_mutex);
  return decoder.settle();
}

}  // namespace engine
}  // namespace kakeya
