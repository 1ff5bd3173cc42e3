#include "serve/openai/usage.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/report.h"

namespace kakeya::serve::openai {
namespace {

double per(double ms, std::size_t count) { return count == 0 ? 0 : ms / static_cast<double>(count); }
double rate(std::size_t count, double ms) { return ms <= 0 ? 0 : 1000 * static_cast<double>(count) / ms; }

}  // namespace

Json usage_json(std::size_t prompt_tokens, std::size_t cached, std::size_t output, std::size_t reasoning) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", output},
          {"total_tokens", prompt_tokens + output},
          {"prompt_tokens_details", {{"cached_tokens", cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning}}}};
}

Json usage_json(const std::vector<dialog::Summary>& summaries) {
  std::size_t prompt = 0, cached = 0, output = 0, reasoning = 0, proposed = 0, accepted = 0;
  for (const dialog::Summary& summary : summaries) {
    prompt = summary.completion.usage.prompt_tokens;
    cached = std::max(cached, summaries.front().completion.usage.cached_tokens);
    output += summary.completion.usage.output_tokens;
    reasoning += summary.reasoning_tokens;
    const DraftCounts drafts = count_drafts(summary.completion);
    proposed += drafts.proposed;
    accepted += drafts.accepted;
  }
  Json usage = usage_json(prompt, cached, output, reasoning);
  usage["completion_tokens_details"]["accepted_prediction_tokens"] = accepted;
  usage["completion_tokens_details"]["rejected_prediction_tokens"] = proposed - accepted;
  return usage;
}

Json timings_json(const Usage& usage) {
  const std::size_t computed = usage.prompt_tokens - std::min(usage.cached_tokens, usage.prompt_tokens);
  // The first token comes with the prompt's last rows: it costs the decoding nothing.
  const std::size_t steps = usage.output_tokens - std::min<std::size_t>(usage.output_tokens, 1);
  return {{"cache_n", usage.cached_tokens},
          {"prompt_n", computed},
          {"prompt_ms", usage.prefill_ms},
          {"prompt_per_token_ms", per(usage.prefill_ms, computed)},
          {"prompt_per_second", rate(computed, usage.prefill_ms)},
          {"predicted_n", usage.output_tokens},
          {"predicted_ms", usage.decode_ms},
          {"predicted_per_token_ms", per(usage.decode_ms, steps)},
          {"predicted_per_second", rate(steps, usage.decode_ms)}};
}

Json timings_json(const dialog::Summary& summary) {
  Json timings = timings_json(summary.completion.usage);
  const DraftCounts drafts = count_drafts(summary.completion);
  if (drafts.cycles > 0) {
    timings["draft_n"] = drafts.proposed;
    timings["draft_n_accepted"] = drafts.accepted;
  }
  return timings;
}

Json progress_json(const dialog::AnswerPart& part) {
  return {{"total", part.prompt_tokens},
          {"cache", part.cached_tokens},
          {"processed", part.done},
          {"time_ms", part.elapsed_ms}};
}

const char* finish_name(const dialog::Summary& summary) {
  // A limit of time or tokens: the call or the text may be half.
  if (summary.completion.finish != FinishReason::kStop) return "length";
  return summary.tool_calls ? "tool_calls" : "stop";
}

std::string fingerprint() { return fmt::format("kakeya-{}-{}", version(), build_commit()); }

}  // namespace kakeya::serve::openai
