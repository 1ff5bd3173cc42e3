#include "acceptance/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kakeya::acceptance {
namespace {

struct PairedRates {
  std::vector<Ratio> channel, baseline;
};

Ratio rate_of(const std::vector<CycleCount>& cycles) {
  Ratio rate;
  for (const CycleCount& cycle : cycles) {
    rate.numerator += cycle.accepted;
    rate.denominator += cycle.proposed;
  }
  return rate;
}

PairedRates pair_rates(const std::vector<Record>& records, const std::vector<Record>& baseline,
                       const std::string& protocol) {
  PairedRates pairs;
  for (std::size_t i = 0; i < std::min(records.size(), baseline.size()); ++i) {
    const Ratio channel = rate_of(cycles_of(records[i], protocol));
    const Ratio base = rate_of(cycles_of(baseline[i], protocol));
    if (channel.denominator == 0 || base.denominator == 0) continue;
    pairs.channel.push_back(channel);
    pairs.baseline.push_back(base);
  }
  return pairs;
}

std::string describe(const Comparison& c) {
  if (c.prompts == 0) return "no prompt with a cycle under both channels: nothing to compare";
  const std::string drop =
      fmt::format("drop {:+.2f} pp [{:+.2f}, {:+.2f}]", c.drop_pp.estimate, c.drop_pp.low, c.drop_pp.high);
  if (!c.margin_pp) return fmt::format("{}; no margin was declared for this channel", drop);
  switch (c.verdict) {
    case Verdict::kNonInferior:
      return fmt::format("{}, all of it within the margin of {:g} pp", drop, *c.margin_pp);
    case Verdict::kWorse:
      return fmt::format("{}, all of it beyond the margin of {:g} pp", drop, *c.margin_pp);
    default:
      break;
  }
  if (c.prompts < kMinPrompts) {
    return fmt::format("{}; {} prompts are too few for a verdict (at least {})", drop, c.prompts,
                       kMinPrompts);
  }
  if (c.more_prompts >= kManyPrompts) {
    return fmt::format("{}; the drop sits on the margin of {:g} pp: more prompts would not decide", drop,
                       *c.margin_pp);
  }
  return fmt::format("{} straddles the margin of {:g} pp; about {} more prompts would decide", drop,
                     *c.margin_pp, c.more_prompts);
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBaseline:
      return "baseline";
    case Verdict::kNonInferior:
      return "non-inferior";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kInconclusive:
      return "inconclusive";
    case Verdict::kNoMargin:
      return "no margin";
  }
  return "";
}

const char* to_string(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::kBaseline:
      return "baseline";
    case Fidelity::kSame:
      return "same";
    case Fidelity::kClose:
      return "close";
    case Fidelity::kDrifts:
      return "drifts";
  }
  return "";
}

std::map<std::string, double> default_margins() { return {{"e8-q38", 2.0}, {"e8-q10", 5.0}}; }

Verdict judge(const Interval& drop_pp, double margin_pp, std::size_t prompts, std::size_t& more_prompts) {
  more_prompts = 0;
  if (prompts < kMinPrompts || !std::isfinite(drop_pp.estimate)) {
    more_prompts = kMinPrompts - std::min(prompts, kMinPrompts);
    return Verdict::kInconclusive;
  }
  if (drop_pp.high <= margin_pp) return Verdict::kNonInferior;
  if (drop_pp.low > margin_pp) return Verdict::kWorse;
  // Half-widths shrink with the square root of n: find n at which the side towards the margin ends on it.
  const bool inside = drop_pp.estimate <= margin_pp;
  const double half_width = inside ? drop_pp.high - drop_pp.estimate : drop_pp.estimate - drop_pp.low;
  const double distance = std::abs(margin_pp - drop_pp.estimate);
  const double needed =
      distance > 0 ? static_cast<double>(prompts) * std::pow(half_width / distance, 2) : INFINITY;
  more_prompts = needed < static_cast<double>(kManyPrompts)
                     ? std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(needed)) - prompts)
                     : kManyPrompts;
  return Verdict::kInconclusive;
}

Comparison compare_acceptance(const std::vector<Record>& records, const std::vector<Record>& baseline,
                              const std::string& protocol, std::optional<double> margin_pp,
                              const BootstrapOptions& bootstrap) {
  const PairedRates pairs = pair_rates(records, baseline, protocol);
  Comparison c;
  c.protocol = protocol;
  c.margin_pp = margin_pp;
  c.prompts = pairs.channel.size();
  const Interval drop = bootstrap_ratio_difference(pairs.baseline, pairs.channel, bootstrap);
  c.drop_pp = {100 * drop.estimate, 100 * drop.low, 100 * drop.high};
  c.verdict = margin_pp ? judge(c.drop_pp, *margin_pp, c.prompts, c.more_prompts) : Verdict::kNoMargin;
  c.text = describe(c);
  return c;
}

FidelityVerdict judge_fidelity(const Agreement& a) {
  FidelityVerdict verdict;
  const auto within = [&](double top1, double nll) { return a.top1.low >= top1 && a.delta_nll.high <= nll; };
  verdict.grade = within(kSameTop1, kSameDeltaNll)     ? Fidelity::kSame
                  : within(kCloseTop1, kCloseDeltaNll) ? Fidelity::kClose
                                                       : Fidelity::kDrifts;
  const char* words = verdict.grade == Fidelity::kSame    ? "says the same as bf16"
                      : verdict.grade == Fidelity::kClose ? "stays close to bf16"
                                                          : "drifts away from bf16";
  verdict.text = fmt::format(
      "{}: the bf16 token is first at {:.2f} % of positions [{:.2f}, {:.2f}], KL {:.5f} nats a token, delta "
      "NLL {:+.5f} "
      "[{:+.5f}, {:+.5f}]",
      words, 100 * a.top1.estimate, 100 * a.top1.low, 100 * a.top1.high, a.kl_per_token.estimate,
      a.delta_nll.estimate, a.delta_nll.low, a.delta_nll.high);
  return verdict;
}

Verdict worst(const std::vector<Verdict>& verdicts) {
  const auto any = [&](Verdict v) {
    return std::find(verdicts.begin(), verdicts.end(), v) != verdicts.end();
  };
  for (const Verdict v :
       {Verdict::kWorse, Verdict::kInconclusive, Verdict::kNoMargin, Verdict::kNonInferior}) {
    if (any(v)) return v;
  }
  return Verdict::kBaseline;
}

int exit_code(const std::vector<Verdict>& verdicts) {
  const Verdict v = worst(verdicts);
  return v == Verdict::kWorse ? 1 : v == Verdict::kInconclusive ? 3 : 0;
}

}  // namespace kakeya::acceptance
