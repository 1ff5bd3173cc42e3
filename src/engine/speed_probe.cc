// Depths, passes, prompts, decoding and the draft's parts. Costs and limits are in speed_limits.cc.
#include "engine/speed_probe.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "decode/sampler.h"
#include "decode/speculative.h"
#include "engine/machine.h"

namespace kakeya::engine {
namespace {

static_assert(kPromptChunkRows == decode::kPrefillRows);

std::uint64_t process_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000u + static_cast<std::uint64_t>(now.tv_nsec);
}

// The same ids for the same positions, spread over the vocabulary.
std::vector<Token> ids(std::size_t first, std::size_t n, std::size_t vocab) {
  std::vector<Token> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<Token>((first + i) * 7919 % vocab);
  return out;
}

model::LogitRows logit_rows(PassLogits logits) {
  if (logits == PassLogits::kNone) return model::LogitRows::kNone;
  return logits == PassLogits::kLast ? model::LogitRows::kLast : model::LogitRows::kAll;
}

}  // namespace

Result<std::unique_ptr<SpeedProbeImpl>> SpeedProbeImpl::create(std::shared_ptr<EngineState> state,
                                                               const SessionOptions& options) {
  KAKEYA_ASSIGN(SessionCaches caches, make_caches(*state, options));
  return std::unique_ptr<SpeedProbeImpl>(new SpeedProbeImpl(std::move(state), std::move(caches)));
}

SpeedProbeImpl::SpeedProbeImpl(std::shared_ptr<EngineState> state, SessionCaches caches)
    : state_(std::move(state)),
      caches_(std::move(caches)),
      scratch_(state_->target->make_scratch()),
      target_(*state_->target, *caches_.kv, *scratch_, state_->compute) {
  if (!state_->draft) return;
  draft_scratch_ = state_->draft->make_scratch();
  drafter_.emplace(*state_->draft, *caches_.draft_kv, *draft_scratch_, state_->compute);
}

SpeedProbeImpl::~SpeedProbeImpl() {
  caches_.kv.reset();
  caches_.draft_kv.reset();
  release_freed_memory();
}

template <class F>
Result<Elapsed> SpeedProbeImpl::timed(F&& work) {
  const std::uint64_t cpu = process_cpu_ns();
  const auto start = std::chrono::steady_clock::now();
  const Status status = work();
  const std::chrono::nanoseconds wall = std::chrono::steady_clock::now() - start;
  const std::uint64_t cpu_ns = process_cpu_ns() - cpu;
  caches_.kv->truncate(std::min(depth_, caches_.kv->length()));
  if (drafter_) caches_.draft_kv->truncate(std::min(depth_, caches_.draft_kv->length()));
  if (!status.ok()) return status.error();
  return Elapsed{static_cast<std::uint64_t>(wall.count()), cpu_ns};
}

std::span<const std::size_t> SpeedProbeImpl::taps() const {
  return drafter_ ? drafter_->tap_layers() : std::span<const std::size_t>();
}

Status SpeedProbeImpl::check_rows(const char* what, std::size_t rows) const {
  if (rows == 0) return invalid_argument(fmt::format("{}: 0 rows, expected at least 1", what));
  const std::size_t context = caches_.options.max_tokens;
  if (depth_ <= context && rows <= context - depth_) return {};
  return invalid_argument(
      fmt::format("{}: {} rows at depth {}, expected at most {} together, the context of {}", what, rows,
                  depth_, context, state_->target_info.id));
}

Status SpeedProbeImpl::check_draft(const char* what) const {
  if (drafter_) return {};
  return invalid_argument(fmt::format("{}: it needs a draft, and the engine was opened without one", what));
}

Status SpeedProbeImpl::set_depth(std::size_t tokens) {
  if (tokens > caches_.options.max_tokens) {
    return invalid_argument(fmt::format("depth: found {}, expected at most {}, the context of {}", tokens,
                                        caches_.options.max_tokens, state_->target_info.id));
  }
  const std::lock_guard turn(state_->pool_mutex);
  const std::size_t real = std::min(tokens, kPromptChunkRows);
  if (tokens > depth_) KAKEYA_TRY(check_memory(tokens));
  if (depth_ < real) KAKEYA_TRY(fill(real));
  for (kv::Cache* cache : {caches_.kv.get(), caches_.draft_kv.get()}) {
    if (cache == nullptr) continue;
    if (tokens > depth_) KAKEYA_TRY(cache->repeat_rows(state_->compute, tokens));
    cache->truncate(tokens);
    cache->commit(tokens);
  }
  depth_ = tokens;
  return {};
}

Status SpeedProbeImpl::fill(std::size_t tokens) {
  depth_ = 0;
  target_.begin();
  if (drafter_) drafter_->begin(0);
  KAKEYA_TRY(feed_prompt(ids(0, tokens, target_.vocab())));
  depth_ = tokens;
  return {};
}

Status SpeedProbeImpl::feed_prompt(std::span<const Token> ids) {
  for (std::size_t done = 0; done < ids.size();) {
    const auto piece = ids.subspan(done, std::min(kPromptChunkRows, ids.size() - done));
    done += piece.size();
    KAKEYA_TRY(
        target_.feed(piece, done == ids.size() ? model::LogitRows::kLast : model::LogitRows::kNone, taps()));
    target_.keep(target_.length());
    if (drafter_) KAKEYA_TRY(drafter_->observe(piece, target_.taps()));
  }
  return {};
}

Result<Elapsed> SpeedProbeImpl::pass(std::size_t rows, PassLogits logits) {
  KAKEYA_TRY(check_rows("pass", rows));
  const std::vector<Token> tokens = ids(depth_, rows, target_.vocab());
  const std::lock_guard turn(state_->pool_mutex);
  return timed([&] { return target_.feed(tokens, logit_rows(logits), taps()); });
}

Result<Elapsed> SpeedProbeImpl::prompt(std::size_t tokens, std::size_t generated) {
  if (tokens == 0) return invalid_argument("prompt: 0 tokens, expected at least 1");
  KAKEYA_TRY(check_rows("prompt", tokens + generated));
  const std::vector<Token> prompt = ids(depth_, tokens, target_.vocab());
  const std::lock_guard turn(state_->pool_mutex);
  return timed([&]() -> Status {
    KAKEYA_TRY(feed_prompt(prompt));
    return generate(decode::argmax(target_.logits().row(0)), generated);
  });
}

Status SpeedProbeImpl::generate(Token next, std::size_t tokens) {
  for (std::size_t i = 0; i < tokens; ++i) {
    KAKEYA_TRY(target_.feed({&next, 1}, model::LogitRows::kLast, {}));
    target_.keep(target_.length());
    next = decode::argmax(target_.logits().row(0));
  }
  return {};
}

Result<Elapsed> SpeedProbeImpl::decode(std::size_t tokens) {
  KAKEYA_TRY(check_rows("decode", tokens));
  const std::lock_guard turn(state_->pool_mutex);
  const Token first = ids(depth_, 1, target_.vocab()).front();
  return timed([&] { return generate(first, tokens); });
}

Status SpeedProbeImpl::observe_taps(std::size_t rows) {
  return drafter_->observe(std::span(block_).first(rows), target_.taps().sub(0, rows));
}

Result<Elapsed> SpeedProbeImpl::observe(std::size_t rows) {
  KAKEYA_TRY(check_draft("observe"));
  KAKEYA_TRY(check_rows("observe", rows));
  if (rows > kPromptChunkRows) {
    return invalid_argument(fmt::format("observe: {} rows, expected at most {}", rows, kPromptChunkRows));
  }
  const std::lock_guard turn(state_->pool_mutex);
  block_ = ids(depth_, rows, target_.vocab());
  if (target_.taps().rows < rows) {
    KAKEYA_TRY(target_.feed(block_, model::LogitRows::kNone, taps()));
    caches_.kv->truncate(depth_);
  }
  return timed([&] { return observe_taps(rows); });
}

Result<Elapsed> SpeedProbeImpl::propose(std::size_t block) {
  KAKEYA_TRY(check_draft("draft"));
  KAKEYA_ASSIGN(const decode::BlockPlan plan, decode::plan_block(drafter_->block_size(), block, 0));
  if (plan.block < 2) return invalid_argument("draft: block of 1, expected at least 2");
  KAKEYA_TRY(check_rows("draft", plan.block));
  decode::ProposeRequest request;
  request.anchor = ids(depth_, 1, target_.vocab()).front();
  request.block = plan.block;
  request.wanted = plan.block - 1;
  const std::lock_guard turn(state_->pool_mutex);
  return timed([&]() -> Status {
    KAKEYA_TRY(drafter_->propose(request));
    return {};
  });
}

Status SpeedProbeImpl::cycle(std::size_t block, std::size_t width, std::size_t accepted) {
  decode::ProposeRequest request;
  request.anchor = block_.front();
  request.block = block;
  request.wanted = width - 1;
  KAKEYA_ASSIGN(const decode::Proposal proposal, drafter_->propose(request));
  block_.resize(1);
  block_.insert(block_.end(), proposal.tokens.begin(), proposal.tokens.end());
  const std::size_t before = target_.length();
  KAKEYA_TRY(target_.feed(block_, model::LogitRows::kAll, taps()));
  Token next = 0;
  for (std::size_t i = 0; i <= accepted; ++i) next = decode::argmax(target_.logits().row(i));
  target_.keep(before + accepted + 1);
  KAKEYA_TRY(observe_taps(accepted + 1));
  block_.front() = next;
  return {};
}

Result<Elapsed> SpeedProbeImpl::given_cycles(std::size_t block, std::size_t width,
                                             std::span<const std::uint32_t> accepted) {
  KAKEYA_TRY(check_draft("cycles"));
  KAKEYA_ASSIGN(const decode::BlockPlan plan, decode::plan_block(drafter_->block_size(), block, width));
  if (plan.width < 2) return invalid_argument("cycles: width of 1, expected at least 2");
  std::size_t kept = 0;
  for (const std::uint32_t a : accepted) {
    if (a >= plan.width) {
      return invalid_argument(
          fmt::format("cycles: {} drafts accepted, expected less than the width, {}", a, plan.width));
    }
    kept += a + 1;
  }
  KAKEYA_TRY(check_rows("cycles", kept + plan.block));
  const std::lock_guard turn(state_->pool_mutex);
  block_ = ids(depth_, 1, target_.vocab());
  return timed([&]() -> Status {
    for (const std::uint32_t a : accepted) KAKEYA_TRY(cycle(plan.block, plan.width, a));
    return {};
  });
}

}  // namespace kakeya::engine
