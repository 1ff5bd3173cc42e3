// Field names of the JSON that generate prints.
#include "cli/session_json.h"

#include <nlohmann/json.hpp>

namespace kakeya::cli {

using Json = nlohmann::ordered_json;

Json ledger_json(const KvLedger& ledger) {
  Json layers = Json::array();
  for (const LayerKv& layer : ledger.layers) {
    layers.push_back(
        {{"channel", layer.channel},
         {"codec_fired", {{"calls", layer.codec_fired_calls}, {"vectors", layer.codec_fired_vectors}}},
         {"skip_fired", {{"calls", layer.skip_fired_calls}, {"vectors", layer.skip_fired_vectors}}}});
  }
  return {{"channel", ledger.channel},
          {"bits_allocated", ledger.bits_allocated},
          {"bits_formula", ledger.bits_formula},
          {"codes_bytes", ledger.codes_bytes},
          {"side_bytes", ledger.side_bytes},
          {"scratch_bytes", ledger.scratch_bytes},
          {"peak_bytes", ledger.peak_bytes},
          {"vectors_capacity", ledger.vectors_capacity},
          {"vectors_stored", ledger.vectors_stored},
          {"layers", std::move(layers)}};
}

Json memory_json(const MemoryLedger& ledger) {
  Json out = {{"target", ledger_json(ledger.target)}};
  if (!ledger.draft.channel.empty()) out["draft"] = ledger_json(ledger.draft);
  out["taps_bytes"] = ledger.taps_bytes;
  out["model_scratch_bytes"] = ledger.model_scratch_bytes;
  return out;
}

Json policy_json(const PolicyReport& policy) {
  Json changes = Json::array();
  for (const ModeChange& change : policy.changes) {
    changes.push_back({{"cycle", change.cycle},
                       {"token", change.token},
                       {"from_width", change.from_width},
                       {"to_width", change.to_width},
                       {"reason", to_string(change.reason)}});
  }
  return {{"plain_cycles", policy.plain_cycles},   {"speculative_cycles", policy.speculative_cycles},
          {"plain_step_ms", policy.plain_step_ms}, {"plain_ms", policy.plain_ms},
          {"gained_ms", policy.gained_ms},         {"changes", std::move(changes)}};
}

Json generation_json(const Engine& engine, const std::vector<Token>& prompt, const Generation& out,
                     const MemoryLedger& ledger) {
  Json lengths = Json::array();
  Json cycles = Json::array();
  for (const Cycle& cycle : out.cycles) {
    lengths.push_back(cycle.length());
    cycles.push_back(
        {{"proposed", cycle.proposed}, {"accepted", cycle.accepted}, {"emitted", cycle.emitted}});
  }
  const Timings& t = out.timings;
  return {{"target", engine.target().id},
          {"draft", engine.draft() != nullptr ? Json(engine.draft()->id) : Json()},
          {"isa", engine.isa()},
          {"threads", engine.threads()},
          {"prompt_ids", prompt},
          {"output_ids", out.ids},
          {"text", out.text},
          {"finish_reason", to_string(out.finish)},
          {"acceptance_lengths", std::move(lengths)},
          {"cycles", std::move(cycles)},
          {"target_forwards", out.target_forwards},
          {"speculation", to_string(out.speculation)},
          {"policy", out.speculation == Speculation::kAuto ? policy_json(out.policy) : Json()},
          {"timings",
           {{"ttft_ms", t.ttft_ms},
            {"prefill_ms", t.prefill_ms},
            {"decode_ms", t.decode_ms},
            {"draft_ms", t.draft_ms},
            {"verify_ms", t.verify_ms}}},
          {"kv", memory_json(ledger)}};
}

}  // namespace kakeya::cli
