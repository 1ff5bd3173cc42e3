// The rule of docs/decisions/0009-decoding-policy.md.
#include "decode/auto_policy.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "decode/target_run.h"

namespace kakeya::decode {
namespace {

// Plain steps that a request may lose before it has earned them, while nobody knows how long answers are.
constexpr double kAdvanceSteps = 1;
// Cycles of evidence that a request leaves to the next, a position.
constexpr double kCarriedCycles = 2;
// Drafts start when they promise this much over plain decoding, and go on while they promise anything.
constexpr double kStartThreshold = 1.03, kStayThreshold = 1.0;
// Another width is taken for a gain of 3 %: less is noise.
constexpr double kWidthHysteresis = 1.03;
// A cycle is charged at most this many times what it takes as a rule.
constexpr double kOutlier = 1.5;
// Plain decoding is measured again after so many cycles with drafts, or when the context has grown so much.
constexpr std::size_t kRefreshCycles = 96, kRefreshTokens = 64;
constexpr double kRefreshGrowth = 1.25;
constexpr std::size_t kDoubtCycles = 8;        // sooner, when passes with drafts say that the time was wrong
constexpr std::size_t kLastHopelessWait = 32;  // requests
// Tokens between probes: doubled by each that fails, back at the first after one that pays.
constexpr std::size_t kFirstProbeWait = 16, kLastProbeWait = 1024;
constexpr std::size_t kProbeWidth = 4;
// Share of the evidence that a probe which pays leaves: the text has changed.
constexpr double kKeptAfterProbe = 0.25;
// One long prompt in so many is shown to a draft that gained nothing lately.
constexpr std::size_t kShowEvery = 4;

// 2, 3, 4, 6, 8, 12, 16, ... and the last, whatever it is.
std::vector<std::size_t> grid(std::size_t max_width) {
  std::vector<std::size_t> out;
  for (std::size_t power = 2; power < max_width; power *= 2) {
    out.push_back(power);
    if (power + power / 2 < max_width) out.push_back(power + power / 2);
  }
  out.push_back(max_width);
  return out;
}

}  // namespace

AutoPolicy::AutoPolicy(PolicyMemory& memory, std::size_t max_width, std::size_t max_tokens)
    : memory_(memory),
      curve_(memory.curve),
      acceptance_(memory.acceptance),
      widths_(grid(max_width)),
      max_tokens_(max_tokens),
      probe_wait_(std::max(kFirstProbeWait, memory.probe_wait)) {
  KAKEYA_CHECK(max_width >= 2);
}

// Observing costs about 2 % of running a prompt. Up to kPrefillRows rows it waits until a draft is due; the
// rows of a longer prompt cannot wait, their states would fill the memory.
bool AutoPolicy::wants_draft(std::size_t prompt_tokens) {
  if (prompt_tokens <= kPrefillRows || !curve_.plain_known() || !acceptance_.has_evidence()) return true;
  if (best_width(widths_.back(), kStartThreshold, HUGE_VAL, 0) > 1) return true;
  hidden_ = memory_.prompts_hidden++ % kShowEvery != kShowEvery - 1;
  return !hidden_;
}

// The budget of the output that is to be expected: of the second shortest of the last five, or of all tokens
// that are asked for, but then of no more than one step's worth: an answer may end early.
double AutoPolicy::advance_steps() const {
  const double asked = kLossBudget * static_cast<double>(max_tokens_);
  const TimeWindow& lengths = memory_.lengths;
  return std::min(asked, lengths.size() == 0 ? kAdvanceSteps : kLossBudget * lengths.typical());
}

// Answers may be too short to earn a probe, so a bad experience would last for ever: some requests start as
// if nothing were known, on their advance.
void AutoPolicy::hope_again() {
  if (hidden_ || !curve_.plain_known() || !acceptance_.has_evidence()) return;
  if (best_width(widths_.back(), kStartThreshold, HUGE_VAL, 0) > 1) return;
  if (++memory_.hopeless < memory_.hopeless_wait) return;
  memory_.hopeless = 0;
  hoping_ = true;
  acceptance_ = {};
  curve_.drop_unconfirmed();
}

void AutoPolicy::begin(const PromptCost& cost) {
  hope_again();
  ledger_.begin(cost, advance_steps());
  if (cost.observe_ms > 0 && cost.observed_pieces > 0) {
    curve_has_news_ = true;
    curve_.add_observe(cost.observed_rows / cost.observed_pieces,
                       cost.observe_ms / static_cast<double>(cost.observed_pieces));
  }
  curve_.refresh_plain();
  plain_context_ = cost.kept + cost.tokens;
}

double AutoPolicy::tokens_per_ms(std::size_t width) const {
  const double tokens = acceptance_.expected_tokens(width);
  const auto rows = static_cast<std::size_t>(std::lround(tokens));
  return tokens / (curve_.observe_ms(rows) + curve_.draft_ms(width) + curve_.target_ms(width));
}

double AutoPolicy::worst_loss_ms(std::size_t width, std::size_t unobserved) const {
  return curve_.observe_ms(unobserved + 1, true) + curve_.draft_ms(width, true) +
         curve_.target_ms(width, true) - curve_.plain_ms();
}

std::size_t AutoPolicy::best_width(std::size_t top, double threshold, double room_ms,
                                   std::size_t unobserved) const {
  std::size_t best = 1;
  double best_rate = threshold / curve_.plain_ms();
  const auto consider = [&](std::size_t width, double bonus) {
    if (width > top || worst_loss_ms(width, unobserved) > room_ms) return;
    const double rate = tokens_per_ms(width) * bonus;
    if (rate <= best_rate) return;
    best_rate = rate;
    best = width;
  };
  for (const std::size_t width : widths_) consider(width, 1);
  // The width in use stays unless another is clearly better; it must pay without the bonus.
  if (width_ > 1 && width_ != best && tokens_per_ms(width_) * curve_.plain_ms() > threshold) {
    consider(width_, kWidthHysteresis);
  }
  return best;
}

std::size_t AutoPolicy::probe_width(std::size_t top, std::size_t unobserved) const {
  for (std::size_t width = std::min(kProbeWidth, top); width >= 2; --width) {
    if (worst_loss_ms(width, unobserved) <= ledger_.earned_ms()) return width;
  }
  return 1;
}

bool AutoPolicy::refresh_due(const CycleRoom& room) const {
  const auto grown = static_cast<std::size_t>(kRefreshGrowth * static_cast<double>(plain_context_));
  return drafted_since_plain_ >= kRefreshCycles ||
         (drafted_since_plain_ >= kDoubtCycles && curve_.plain_in_doubt()) ||
         room.context > grown + kRefreshTokens;
}

AutoPolicy::Choice AutoPolicy::decide(const CycleRoom& room) {
  const std::size_t top = std::min(room.rows, room.tokens);
  probing_ = false;
  if (hidden_) return {1, ModeReason::kHistory};
  if (curve_.measuring()) return {1, ModeReason::kMeasure};
  if (refresh_due(room)) {
    curve_.refresh_plain();
    plain_context_ = room.context;
    return {1, ModeReason::kMeasure};
  }
  if (top < 2) return {1, ModeReason::kEnd};
  const double threshold = width_ > 1 ? kStayThreshold : kStartThreshold;
  const double allowed = ledger_.room_ms(curve_.plain_ms());
  if (const std::size_t width = best_width(top, threshold, allowed, room.unobserved); width > 1) {
    if (width_ > 1) return {width, ModeReason::kWidth};
    const bool advanced = worst_loss_ms(width, room.unobserved) > ledger_.earned_ms();
    return {width, advanced ? ModeReason::kOpening : ModeReason::kGain};
  }
  if (best_width(top, threshold, HUGE_VAL, room.unobserved) > 1) return {1, ModeReason::kBudget};
  if (width_ == 1 && token_ >= last_draft_token_ + probe_wait_) {
    if (const std::size_t width = probe_width(top, room.unobserved); width > 1) {
      probing_ = true;
      return {width, ModeReason::kProbe};
    }
  }
  return {1, ModeReason::kNoGain};
}

std::size_t AutoPolicy::choose(const CycleRoom& room) {
  if (room.others.none() && sharing_) {
    curve_ = memory_.curve;  // what the shared passes taught
    sharing_ = false;
  }
  const Choice choice = room.others.none() ? decide(room) : decide_shared(room);
  if (choice.width != width_) {
    report_.changes.push_back({cycle_, token_, static_cast<std::uint32_t>(width_),
                               static_cast<std::uint32_t>(choice.width), choice.reason});
  }
  width_ = choice.width;
  return width_;
}

bool AutoPolicy::affords(std::size_t rows) {
  if (over_ && !sharing_) return true;  // nobody waits
  if (over_) return memory_.shared_account.affords(shared_curve().observe_ms(rows));
  if (!curve_.plain_known()) return true;
  const double room = std::max(0.0, ledger_.room_ms(curve_.plain_ms()));
  return curve_.observe_ms(rows) <= room + kObserveReserve * ledger_.plain_ms();
}

void AutoPolicy::observed(std::size_t rows, double ms) {
  if (over_) {
    if (!sharing_) return;
    memory_.curve.add_observe(rows, ms);
    memory_.shared_account.add(0, ms, memory_.curve.plain_ms());
    return;
  }
  const double bound = curve_.plain_known() ? curve_.observe_ms(rows, true) : HUGE_VAL;
  curve_.add_observe(rows, ms);
  curve_has_news_ = true;
  ledger_.add_overhead(std::min(ms, kOutlier * bound));
}

void AutoPolicy::record(const CycleCost& cost) {
  ++cycle_;
  curve_has_news_ = curve_has_news_ || !cost.shared;
  if (cost.shared) {
    record_shared(cost);
  } else if (cost.rows == 1) {
    ++report_.plain_cycles;
    drafted_since_plain_ = 0;
    curve_.add_target(1, cost.target_ms);
    ledger_.add_plain(std::min(cost.target_ms, curve_.plain_ms()));  // a slow moment earns nothing
  } else {
    ++report_.speculative_cycles;
    ++drafted_since_plain_;
    record_speculative(cost);
  }
  token_ += cost.emitted;
  if (cost.rows > 1) last_draft_token_ = token_;
}

void AutoPolicy::record_speculative(const CycleCost& cost) {
  // The bound counts until a second sample confirms the first.
  double usual = curve_.draft_ms(cost.rows, true) + curve_.target_ms(cost.rows, true);
  curve_.add_draft(cost.rows, cost.draft_ms);
  curve_.add_target(cost.rows, cost.target_ms);
  if (curve_.confirmed(cost.rows)) usual = curve_.draft_ms(cost.rows) + curve_.target_ms(cost.rows);
  const double ms = std::min(cost.draft_ms + cost.target_ms, kOutlier * usual);
  const double plain = static_cast<double>(cost.emitted) * curve_.plain_ms();
  ledger_.add_speculative(ms, plain);
  if (probing_) judge_probe(plain > ms);
  acceptance_.record(cost.proposed, cost.accepted);
}

void AutoPolicy::judge_probe(bool pays) {
  probe_wait_ = pays ? kFirstProbeWait : std::min(2 * probe_wait_, kLastProbeWait);
  if (pays) acceptance_.forget(kKeptAfterProbe);
}

// Requests that run at the same time started from the same memory: who learned nothing leaves it to the
// others.
void AutoPolicy::leave_curve() {
  if (!curve_has_news_ || (!curve_.plain_known() && memory_.curve.plain_known())) return;
  curve_.take_shared(memory_.curve);
  memory_.curve = curve_;
  curve_has_news_ = false;
}

void AutoPolicy::finish() {
  if (hoping_) {
    memory_.hopeless_wait =
        ledger_.gained_ms() > 0 ? 1 : std::min(2 * memory_.hopeless_wait, kLastHopelessWait);
  }
  memory_.probe_wait = ledger_.gained_ms() > 0 ? 0 : probe_wait_;
  leave_curve();
  if (report_.speculative_cycles > 0 || hoping_) {
    memory_.acceptance = acceptance_;
    memory_.acceptance.weaken(kCarriedCycles);
  }
  memory_.lengths.add(static_cast<double>(token_), 0);
  over_ = true;
}

PolicyReport AutoPolicy::report() const {
  PolicyReport out = report_;
  out.plain_step_ms = curve_.plain_known() ? curve_.plain_ms() : 0;
  out.plain_ms = ledger_.plain_ms();
  out.gained_ms = ledger_.gained_ms();
  return out;
}

}  // namespace kakeya::decode
