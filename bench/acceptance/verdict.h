// Is a channel as good as bf16? Two lines: acceptance (a drop against a margin declared before the run) and
// fidelity (does it still say the same). Neither stands alone.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "acceptance/metrics.h"

namespace kakeya::acceptance {

enum class Verdict { kBaseline, kNonInferior, kWorse, kInconclusive, kNoMargin };
const char* to_string(Verdict verdict);  // "baseline", "non-inferior", "worse", "inconclusive", "no margin"

// Points of acceptance_rate that a channel may lose. e8-q38: 2, e8-q10: 5; others have none unless given.
std::map<std::string, double> default_margins();

// Below this many paired prompts an interval over prompts says too little for a verdict either way.
constexpr std::size_t kMinPrompts = 8;
// Above this the drop sits on the margin itself and more prompts are no answer.
constexpr std::size_t kManyPrompts = 100000;

struct Comparison {
  std::string protocol;  // "forced" or "free": whose cycles were compared
  Interval drop_pp;      // acceptance_rate of bf16 minus the channel's, in points; positive = worse
  std::optional<double> margin_pp;
  Verdict verdict = Verdict::kInconclusive;
  std::size_t prompts = 0;  // pairs in which both sides have a cycle
  std::size_t more_prompts =
      0;             // inconclusive: about this many more would decide (kManyPrompts = no number would)
  std::string text;  // one sentence
};

// records and baseline in the same order of prompts.
Comparison compare_acceptance(const std::vector<Record>& records, const std::vector<Record>& baseline,
                              const std::string& protocol, std::optional<double> margin_pp,
                              const BootstrapOptions& bootstrap);

// "whole interval inside / outside the margin", and how many prompts more when neither.
Verdict judge(const Interval& drop_pp, double margin_pp, std::size_t prompts, std::size_t& more_prompts);

enum class Fidelity { kBaseline, kSame, kClose, kDrifts };
const char* to_string(Fidelity fidelity);  // "baseline", "same", "close", "drifts"

// Declared beforehand, judged at the worse end of each interval.
constexpr double kSameTop1 = 0.99, kSameDeltaNll = 0.01;  // nats a token
constexpr double kCloseTop1 = 0.95, kCloseDeltaNll = 0.05;

struct FidelityVerdict {
  Fidelity grade = Fidelity::kBaseline;
  std::string text;
};
FidelityVerdict judge_fidelity(const Agreement& agreement);

// 0 all non-inferior or without margin; 1 any worse; 3 any inconclusive and none worse.
int exit_code(const std::vector<Verdict>& verdicts);
// The worst of several data sets: worse, then inconclusive, then the rest.
Verdict worst(const std::vector<Verdict>& verdicts);

}  // namespace kakeya::acceptance
