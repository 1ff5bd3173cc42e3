#include "cli/tune_report.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "acceptance/machine.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const acceptance::Interval& interval) {
  return {{"estimate", interval.estimate}, {"low", interval.low}, {"high", interval.high}};
}

Json verdict_json(const TimeVerdict& verdict) {
  return {{"ratio_to_best", interval_json(verdict.ratio)}, {"standing", to_string(verdict.standing)}};
}

// Milliseconds of whole answers by prompt and round, and their tokens by prompt.
template <class Cell>
Json samples_json(const Cell& cell) {
  Json ms = Json::array(), tokens = Json::array();
  for (const auto& run : cell.runs) {
    ms.push_back(run.ms);
    tokens.push_back(run.tokens);
  }
  return {{"ms", std::move(ms)}, {"tokens", std::move(tokens)}};
}

Json course_json(const TuneCourse& course) {
  return {{"prompts", course.prompts},
          {"rounds", course.rounds},
          {"seconds", course.seconds},
          {"ended", course.ended}};
}

Json channels_json(const Measured& measured) {
  Json out = Json::array();
  for (std::size_t i = 0; i < measured.channels.size(); ++i) {
    const ChannelVerdict& verdict = measured.choice.channels[i];
    out.push_back({{"name", verdict.name},
                   {"bits_allocated", measured.channels[i].bits},
                   {"bytes_per_token", measured.channels[i].bytes_per_token},
                   {"acceptance_rate", verdict.drop_pp ? Json(verdict.acceptance_rate) : Json()},
                   {"drop_pp", verdict.drop_pp ? interval_json(*verdict.drop_pp) : Json()},
                   {"top1_agreement", interval_json(verdict.top1)},
                   {"kl_per_token", verdict.kl_per_token},
                   {"ms_per_token", verdict.ms_per_token},
                   {"time_ratio_to_bf16", interval_json(verdict.time_ratio)},
                   {"time", verdict.against_best ? verdict_json(*verdict.against_best) : Json()},
                   {"qualifies", verdict.qualifies},
                   {"reason", verdict.qualifies ? Json() : Json(verdict.reason)},
                   {"samples", samples_json(measured.channels[i])}});
  }
  return out;
}

Json modes_json(const Measured& measured) {
  Json out = Json::array();
  for (std::size_t i = 0; i < measured.modes.size(); ++i) {
    const ModeVerdict& verdict = measured.choice.modes[i];
    out.push_back(
        {{"speculation", to_string(measured.modes[i].speculation)},
         {"verify_width", measured.modes[i].width},
         {"ms_per_token", verdict.ms_per_token},
         {"time_ratio_to_plain", interval_json(verdict.time_ratio)},
         {"time", verdict_json(verdict.against_best)},
         {"acceptance_length", verdict.acceptance_length > 0 ? Json(verdict.acceptance_length) : Json()},
         {"samples", samples_json(measured.modes[i])}});
  }
  return out;
}

Json model_json(const ModelInfo& info, const std::string& fingerprint) {
  return {{"id", info.id}, {"path", info.path}, {"dtype", info.dtype}, {"fingerprint", fingerprint}};
}

std::string ratio_words(const acceptance::Interval& ratio) {
  return fmt::format("{:.2f} ({:.2f}-{:.2f})", ratio.estimate, ratio.low, std::min(ratio.high, 99.0));
}

// What stands at the end of a setting's line.
std::string ending(const TimeVerdict& time, bool chosen) {
  const bool tie = time.standing == Standing::kEqual || time.standing == Standing::kUndecided;
  const std::string words = time.standing == Standing::kBest ? "fastest"
                            : tie ? fmt::format("tie ({})", to_string(time.standing))
                                  : std::string(to_string(time.standing));
  return words + (chosen ? "  <- chosen" : "");
}

void print_course(const TuneCourse& course) {
  fmt::print("{} prompts, {} rounds in {:.0f} s, ended: {}\n", course.prompts, course.rounds, course.seconds,
             course.ended == "decided" ? "decided"
                                       : course.ended + " (undecided: --budget or --n-samples gives more)");
}

void print_channels(const Measured& measured) {
  fmt::print("{:<10} {:>12} {:>9} {:>10} {:>8} {:>9} {:>18}\n", "KV", "bytes/token", "accepted", "drop, pp",
             "top-1", "ms/token", "time to bf16");
  for (std::size_t i = 0; i < measured.channels.size(); ++i) {
    const ChannelVerdict& v = measured.choice.channels[i];
    fmt::print("{:<10} {:>12.0f} {:>9} {:>10} {:>7.1f}% {:>9.2f} {:>18}  {}\n", v.name,
               measured.channels[i].bytes_per_token,
               v.drop_pp ? fmt::format("{:.1f}%", 100 * v.acceptance_rate) : "-",
               v.drop_pp ? fmt::format("{:+.1f}", v.drop_pp->estimate) : "-", 100 * v.top1.estimate,
               v.ms_per_token, ratio_words(v.time_ratio),
               v.against_best ? ending(*v.against_best, i == measured.choice.channel) : v.reason);
  }
  print_course(measured.channel_course);
}

void print_modes(const Measured& measured) {
  fmt::print("\n{:<16} {:>9} {:>18} {:>18}\n", "drafting", "ms/token", "time to off", "acceptance length");
  for (std::size_t i = 0; i < measured.modes.size(); ++i) {
    const ModeCell& cell = measured.modes[i];
    const ModeVerdict& v = measured.choice.modes[i];
    const std::string name = cell.width > 0 ? fmt::format("{} {}", to_string(cell.speculation), cell.width)
                                            : std::string(to_string(cell.speculation));
    fmt::print("{:<16} {:>9.2f} {:>18} {:>18}  {}\n", name, v.ms_per_token, ratio_words(v.time_ratio),
               v.acceptance_length > 0 ? fmt::format("{:.2f}", v.acceptance_length) : "-",
               ending(v.against_best, i == measured.choice.mode));
  }
  print_course(measured.mode_course);
}

}  // namespace

ProfileChoice chosen_profile(const TuneOptions& options, const Measured& measured) {
  const ModeCell& mode = measured.modes[measured.choice.mode];
  return {measured.channels[measured.choice.channel].name, options.draft_kv, to_string(mode.speculation),
          mode.width};
}

Json profile_json(const Engine& engine, const TuneOptions& options, const TuneRules& rules,
                  const Measured& measured) {
  const acceptance::MachineFacts machine = acceptance::machine_facts();
  const ProfileChoice choice = chosen_profile(options, measured);
  Json out = {{"schema", kProfileSchema},
              {"created_at", acceptance::utc_now()},
              {"kakeya", {{"version", version()}, {"commit", build_commit()}, {"build", build_type()}}},
              {"machine",
               {{"cpu", machine.cpu},
                {"os", machine.os},
                {"isa", engine.isa()},
                {"threads", engine.threads()},
                {"cores", machine.cores},
                {"memory_bytes", machine.memory_bytes},
                {"load_average", machine.load_average}}},
              {"target", model_json(engine.target(), measured.target_fingerprint)}};
  out["draft"] = engine.draft() != nullptr ? model_json(*engine.draft(), measured.draft_fingerprint) : Json();
  out["prompts"] = {{"source", measured.prompts.source},
                    {"sha256", measured.prompts.sha256},
                    {"n", measured.prompts.prompts.size()},
                    {"max_tokens", options.max_tokens},
                    {"seed", options.seed}};
  out["rules"] = {
      {"margin_pp", rules.margin_pp},
      {"min_top1", rules.min_top1},
      {"tie", rules.tie},
      {"interval", "95 %, bootstrap over prompts"},
      {"time_interval",
       "95 %, Student's t over prompts of the logarithms of ratios, of each the median over rounds"},
      {"budget_s", options.budget_s},
      {"rounds", rules.rounds},
      {"channel", measured.choice.channel_why},
      {"drafting", measured.choice.mode_why}};
  out["course"] = {{"channels", course_json(measured.channel_course)},
                   {"drafting", course_json(measured.mode_course)}};
  out["channels"] = channels_json(measured);
  out["drafting"] = modes_json(measured);
  out["choice"] = {{"kv", choice.kv},
                   {"draft_kv", choice.draft_kv},
                   {"draft", choice.speculation != "off"},
                   {"speculation", choice.speculation},
                   {"verify_width", choice.verify_width}};
  if (const auto& band = measured.choice.band) {
    out["acceptance_band"] = {
        {"mean", band->mean},
        {"low", band->low},
        {"high", band->high},
        {"window", band->window},
        {"of", "acceptance length, mean over cycles with drafts of a request, then over requests"}};
  } else {
    out["acceptance_band"] = Json();
  }
  return out;
}

void print_measured(const Measured& measured) {
  print_channels(measured);
  print_modes(measured);
}

}  // namespace kakeya::cli
