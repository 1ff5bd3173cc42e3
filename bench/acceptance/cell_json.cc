// The result file of one cell, key by key as schemas/b2-dflash-kakeya-v1.schema.json and docs/formats say.
#include <kakeya/version.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "acceptance/cell.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchema = "b2-dflash-kakeya-v1";

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json bounds(const Interval& interval) { return Json::array({number(interval.low), number(interval.high)}); }

Json model_json(const ModelFacts& model) {
  return {{"id", model.id},
          {"path", model.path},
          {"sha256", model.sha256},
          {"dtype", model.dtype},
          {"architecture", model.architecture},
          {"parameters", model.parameters},
          {"weight_bytes", model.weight_bytes},
          {"layers", model.layers},
          {"kv_heads", model.kv_heads},
          {"head_dim", model.head_dim},
          {"block_size", model.block_size}};
}

Json lengths_json(const Acceptance& a) {
  return {{"mean", number(a.mean.estimate)},
          {"mean_ci95", bounds(a.mean)},
          {"pooled", number(a.pooled)},
          {"p50", number(a.p50)},
          {"p95", number(a.p95)},
          {"p50_prompts", number(a.p50_prompts)},
          {"p95_prompts", number(a.p95_prompts)},
          {"quantiles_over", "cycles"},
          {"includes_bonus", true},
          {"histogram", a.histogram},
          {"per_position", a.per_position}};
}

Json counts_json(const Acceptance& a) {
  return {{"prompts", a.prompts},    {"prompts_without_cycles", a.prompts_without_cycles},
          {"cycles", a.cycles},      {"drafted", a.drafted},
          {"accepted", a.accepted},  {"emitted", a.accepted + a.cycles},
          {"generated", a.generated}};
}

Json acceptance_json(const Acceptance& a) {
  return {{"acceptance_length", lengths_json(a)},
          {"acceptance_rate", number(a.rate.estimate)},
          {"acceptance_rate_ci95", bounds(a.rate)},
          {"accepted_share", number(a.share)},
          {"counts", counts_json(a)}};
}

Json spread_json(const std::optional<Spread>& spread) {
  if (!spread) return nullptr;
  return {{"mean", number(spread->mean)},
          {"p50", number(spread->p50)},
          {"p95", number(spread->p95)},
          {"n", spread->n}};
}

Json fired_json(const std::vector<FiredCount>& layers) {
  std::uint64_t calls = 0, vectors = 0;
  Json per_layer = Json::array();
  for (const FiredCount& layer : layers) {
    calls += layer.calls;
    vectors += layer.vectors;
    per_layer.push_back({{"calls", layer.calls}, {"vectors", layer.vectors}});
  }
  return {{"calls", calls}, {"vectors", vectors}, {"layers", per_layer}};
}

Json correctness_json(const std::optional<Correctness>& c) {
  if (!c) return nullptr;
  Json json = {{"name", c->name},
               {"value", c->n > 0 ? number(c->value.estimate) : Json(nullptr)},
               {"n", c->n},
               {"right", c->right},
               {"ci95", bounds(c->value)}};
  if (c->n == 0) json["reason"] = c->reason;
  return json;
}

Json agreement_json(const std::optional<Agreement>& a) {
  if (!a) return nullptr;
  return {{"top1", number(a->top1.estimate)},
          {"top1_ci95", bounds(a->top1)},
          {"kl_per_token", number(a->kl_per_token.estimate)},
          {"kl_per_token_ci95", bounds(a->kl_per_token)},
          {"delta_nll", number(a->delta_nll.estimate)},
          {"delta_nll_ci95", bounds(a->delta_nll)},
          {"unit", "nats per token"},
          {"positions", a->positions},
          {"prompts", a->prompts},
          {"prompts_diverged", a->prompts_diverged},
          {"first_divergence_p50", number(a->first_divergence_p50)}};
}

Json kv_json(const KvFacts& kv) {
  return {{"codes_bytes", kv.codes_bytes},           {"side_bytes", kv.side_bytes},
          {"scratch_bytes", kv.scratch_bytes},       {"peak_bytes", kv.peak_bytes},
          {"vectors_capacity", kv.vectors_capacity}, {"vectors_stored", kv.vectors_stored}};
}

Json memory_json(const std::optional<Memory>& m) {
  if (!m) return nullptr;
  return {{"kv_bytes_per_token", number(m->target_bytes_per_token)},
          {"target", kv_json(m->target)},
          {"draft", kv_json(m->draft)},
          {"taps_bytes", m->taps_bytes},
          {"model_scratch_bytes", m->model_scratch_bytes}};
}

Json metrics_json(const CellMetrics& m) {
  Json json = {{"protocol", m.primary}};
  json.update(acceptance_json(m.acceptance()));
  json["tps"] = spread_json(m.tps);
  json["ttft_ms"] = spread_json(m.ttft_ms);
  json["codec_fired"] = m.memory ? fired_json(m.memory->codec_fired) : Json(nullptr);
  json["skip_fired"] = m.memory ? fired_json(m.memory->skip_fired) : Json(nullptr);
  json["correctness"] = correctness_json(m.correctness);
  json["agreement"] = agreement_json(m.agreement);
  json["memory"] = memory_json(m.memory);
  json["forced"] = m.forced ? acceptance_json(*m.forced) : Json(nullptr);
  return json;
}

Json comparison_json(const Run& run, const Comparison& c) {
  return {{"baseline", "bf16"},
          {"drop_pp", number(c.drop_pp.estimate)},
          {"ci95", bounds(c.drop_pp)},
          {"margin_pp", c.margin_pp ? Json(*c.margin_pp) : Json(nullptr)},
          {"verdict", to_string(c.verdict)},
          {"protocol", c.protocol},
          {"text", c.text},
          {"prompts", c.prompts},
          {"more_prompts", c.more_prompts},
          {"resamples", run.options.resamples},
          {"bootstrap_seed", run.options.seed}};
}

Json cell_comparison_json(const Run& run, const Cell& cell) {
  Json json = comparison_json(run, cell.comparison);
  json["free"] = cell.free_comparison ? comparison_json(run, *cell.free_comparison) : Json(nullptr);
  json["fidelity"] = cell.fidelity
                         ? Json{{"verdict", to_string(cell.fidelity->grade)}, {"text", cell.fidelity->text}}
                         : Json(nullptr);
  return json;
}

Json channel_json(const ChannelFacts& c) {
  return {{"name", c.name},
          {"lattice", c.lattice},
          {"q_range", c.q_range},
          {"bits_allocated", c.bits_allocated},
          {"bits_formula", c.bits_formula},
          {"boundary", c.boundary},
          {"draft_channel", c.draft_channel},
          {"layers", c.layers}};
}

}  // namespace

Json cell_json(const Run& run, const Cell& cell, const Json& identity) {
  const Dataset& set = run.dataset_of(cell);
  const std::string primary = primary_protocol(run.options);
  Json records = Json::array(), checks = Json::array();
  for (const Record& record : cell.records) records.push_back(to_json(record, primary));
  for (const Check& check : cell.checks) {
    checks.push_back({{"name", check.name}, {"passed", check.passed}, {"detail", check.detail}});
  }
  Json json;
  json["schema"] = kSchema;
  json["engine"] = run.engine_kind;
  if (run.mock()) json["title"] = "MOCK: theory from a mock engine, nothing here was measured";
  json["created_at"] = run.created_at;
  json["kakeya"] = {{"version", version()}, {"commit", build_commit()}, {"build", build_type()}};
  json["machine"] = {{"cpu", run.machine.cpu},
                     {"isa", run.isa},
                     {"threads", run.threads},
                     {"memory", run.machine.memory_bytes},
                     {"os", run.machine.os},
                     {"cores", run.machine.cores},
                     {"load_average_at_start", run.machine.load_average}};
  json["target"] = model_json(run.target);
  json["draft"] = model_json(run.draft);
  json["channel"] = channel_json(cell.channel);
  json["dataset"] = {
      {"name", set.name},     {"source", set.source},           {"path", set.path},
      {"sha256", set.sha256}, {"n_available", set.n_available}, {"n_used", cell.records.size()},
      {"seed", set.seed}};
  json["protocol"] = run.options.protocol;
  json["params"] = {
      {"max_tokens", run.options.max_tokens},
      {"block_size", run.block_size},
      {"verify_width", run.verify_width},
      {"temperature", static_cast<double>(run.options.temperature)},
      {"seed", run.options.seed},
      {"template", cell.template_name},
      {"thinking", false},
      {"prompt_style", to_string(prompt_style(run.options))},
      {"anchors", run.options.anchors},
      {"order", "prompt by prompt; per prompt the channels take turns in rotating order, one at a time"}};
  json["metrics"] = metrics_json(cell.metrics);
  json["comparison"] = cell_comparison_json(run, cell);
  json["checks"] = std::move(checks);
  json["identity"] = identity;
  json["records"] = std::move(records);
  return json;
}

}  // namespace kakeya::acceptance
