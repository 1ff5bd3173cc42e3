#include "acceptance/options.h"

#include <fmt/format.h>
#include <kakeya/codec.h>
#include <kakeya/engine.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "acceptance/dataset.h"

namespace kakeya::acceptance {
namespace {

constexpr std::size_t kProbeHeadDim =
    128;  // any dimension that every channel supports: only the name is checked here

Status check_one_of(const char* flag, const std::string& value, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return {};
  return invalid_argument(
      fmt::format("{}: found '{}', expected one of {}", flag, value, fmt::join(known, ", ")));
}

Status check_unique(const char* flag, const std::vector<std::string>& values) {
  if (values.empty()) return invalid_argument(fmt::format("{}: expected at least one name", flag));
  std::set<std::string> seen;
  for (const std::string& value : values) {
    if (!seen.insert(value).second)
      return invalid_argument(fmt::format("{}: '{}' is named twice", flag, value));
  }
  return {};
}

Status check_numbers(const RunOptions& o) {
  if (o.n_samples == 0) return invalid_argument("--n-samples: found 0, expected at least 1");
  if (o.max_tokens < 2) return invalid_argument("--max-tokens: expected at least 2 (one token has no cycle)");
  if (o.block_size == 1) return invalid_argument("--block-size: found 1, expected 0 or at least 2");
  if (o.verify_width == 1) return invalid_argument("--verify-width: found 1, expected 0 or at least 2");
  if (o.block_size != 0 && o.verify_width > o.block_size) {
    return invalid_argument(fmt::format("--verify-width: found {}, expected at most --block-size {}",
                                        o.verify_width, o.block_size));
  }
  if (!std::isfinite(o.temperature) || o.temperature < 0)
    return invalid_argument("--temperature: expected 0 or more");
  if (o.boundary < 0) return invalid_argument("--boundary: expected 0 or more");
  if (o.resamples < 100) return invalid_argument("--resamples: expected at least 100");
  for (const auto& [channel, margin] : o.margins) {
    if (!std::isfinite(margin) || margin < 0) {
      return invalid_argument(fmt::format("--margin {}: expected points, 0 or more", channel));
    }
    if (channel == "bf16" || std::find(o.channels.begin(), o.channels.end(), channel) == o.channels.end()) {
      return invalid_argument(fmt::format("--margin: '{}' is not a compressed channel of this run", channel));
    }
  }
  return {};
}

}  // namespace

Status settle(RunOptions& o, std::vector<std::string>& notes) {
  KAKEYA_TRY(check_unique("--channels", o.channels));
  KAKEYA_TRY(check_unique("--datasets", o.datasets));
  for (const std::string& channel : o.channels) KAKEYA_TRY(channel_info(channel, kProbeHeadDim));
  KAKEYA_TRY(channel_info(o.draft_kv, kProbeHeadDim));
  for (const std::string& name : o.datasets) KAKEYA_TRY(check_one_of("--datasets", name, dataset_names()));
  KAKEYA_TRY(check_one_of("--protocol", o.protocol, {"free", "forced", "both"}));
  KAKEYA_TRY(check_one_of("--anchors", o.anchors, {"cycles", "all"}));
  KAKEYA_TRY(check_one_of("--prompt-style", o.prompt_style, {"auto", "plain", "reference"}));
  if (!o.isa.empty()) KAKEYA_TRY(check_one_of("--isa", o.isa, available_isas()));
  KAKEYA_TRY(check_numbers(o));
  if (o.out_dir.empty()) return invalid_argument("--out-dir: expected a directory");
  if (o.resume && o.overwrite) return invalid_argument("--resume and --overwrite contradict each other");
  if (o.target.empty() || o.draft.empty()) {
    return invalid_argument("--target and --draft: acceptance needs both a target and a draft");
  }

  const auto baseline = std::find(o.channels.begin(), o.channels.end(), "bf16");
  if (baseline == o.channels.end()) {
    notes.push_back("bf16 added to the channels: every verdict is against it, prompt by prompt");
    o.channels.insert(o.channels.begin(), "bf16");
  } else {
    std::rotate(o.channels.begin(), baseline, baseline + 1);
  }
  if (o.temperature > 0 && o.protocol != "free") {
    if (o.protocol_named) {
      return invalid_argument(fmt::format(
          "--protocol {} follows the greedy bf16 text and needs --temperature 0; use --protocol free",
          o.protocol));
    }
    notes.push_back(
        "protocol free: the forced protocol follows the greedy bf16 text and needs temperature 0");
    o.protocol = "free";
  }
  return {};
}

bool wants_forced(const RunOptions& options) { return options.protocol != "free"; }

std::string primary_protocol(const RunOptions& options) {
  return options.protocol == "forced" ? "forced" : "free";
}

std::string verdict_protocol(const RunOptions& options) { return wants_forced(options) ? "forced" : "free"; }

PromptStyle prompt_style(const RunOptions& options) {
  if (options.prompt_style == "plain") return PromptStyle::kPlain;
  if (options.prompt_style == "reference") return PromptStyle::kReference;
  return options.target == "tiny" || options.dry_run ? PromptStyle::kPlain : PromptStyle::kReference;
}

}  // namespace kakeya::acceptance
