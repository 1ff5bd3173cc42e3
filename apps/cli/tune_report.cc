#include "cli/tune_report.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <nlohmann/json.hpp>

#include "acceptance/machine.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const acceptance::Interval& interval) {
  return {{"estimate", interval.estimate}, {"low", interval.low}, {"high", interval.high}};
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
                   {"time_ratio_to_bf16", verdict.time_ratio},
                   {"qualifies", verdict.qualifies},
                   {"reason", verdict.qualifies ? Json() : Json(verdict.reason)}});
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
         {"time_ratio_to_plain", verdict.time_ratio},
         {"acceptance_length", verdict.acceptance_length > 0 ? Json(verdict.acceptance_length) : Json()}});
  }
  return out;
}

Json model_json(const ModelInfo& info, const std::string& fingerprint) {
  return {{"id", info.id}, {"path", info.path}, {"dtype", info.dtype}, {"fingerprint", fingerprint}};
}

void print_channels(const Measured& measured) {
  fmt::print("{:<10} {:>12} {:>9} {:>10} {:>8} {:>9} {:>8}\n", "KV", "bytes/token", "accepted", "drop, pp",
             "top-1", "ms/token", "to bf16");
  for (std::size_t i = 0; i < measured.channels.size(); ++i) {
    const ChannelVerdict& v = measured.choice.channels[i];
    fmt::print("{:<10} {:>12.0f} {:>9} {:>10} {:>7.1f}% {:>9.2f} {:>8.2f}  {}\n", v.name,
               measured.channels[i].bytes_per_token,
               v.drop_pp ? fmt::format("{:.1f}%", 100 * v.acceptance_rate) : "-",
               v.drop_pp ? fmt::format("{:+.1f}", v.drop_pp->estimate) : "-", 100 * v.top1.estimate,
               v.ms_per_token, v.time_ratio, i == measured.choice.channel ? "<- chosen" : v.reason);
  }
}

void print_modes(const Measured& measured) {
  fmt::print("\n{:<16} {:>9} {:>8} {:>18}\n", "drafting", "ms/token", "to off", "acceptance length");
  for (std::size_t i = 0; i < measured.modes.size(); ++i) {
    const ModeCell& cell = measured.modes[i];
    const ModeVerdict& v = measured.choice.modes[i];
    const std::string name = cell.width > 0 ? fmt::format("{} {}", to_string(cell.speculation), cell.width)
                                            : std::string(to_string(cell.speculation));
    fmt::print("{:<16} {:>9.2f} {:>8.2f} {:>18}  {}\n", name, v.ms_per_token, v.time_ratio,
               v.acceptance_length > 0 ? fmt::format("{:.2f}", v.acceptance_length) : "-",
               i == measured.choice.mode ? "<- chosen" : "");
  }
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
  out["rules"] = {{"margin_pp", rules.margin_pp},
                  {"min_top1", rules.min_top1},
                  {"tie", rules.tie},
                  {"interval", "95 %, bootstrap over prompts"},
                  {"channel", measured.choice.channel_why},
                  {"drafting", measured.choice.mode_why}};
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
