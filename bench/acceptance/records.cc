#include "acceptance/records.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "acceptance/files.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

Json fired_json(const std::vector<FiredCount>& layers) {
  Json json = Json::array();
  for (const FiredCount& layer : layers) json.push_back({layer.calls, layer.vectors});
  return json;
}

std::vector<FiredCount> fired_from(const Json& json) {
  std::vector<FiredCount> layers;
  for (const Json& layer : json) {
    layers.push_back({layer.at(0).get<std::uint64_t>(), layer.at(1).get<std::uint64_t>()});
  }
  return layers;
}

Json kv_json(const KvFacts& kv) {
  return {{"codes_bytes", kv.codes_bytes},
          {"side_bytes", kv.side_bytes},
          {"scratch_bytes", kv.scratch_bytes},
          {"peak_bytes", kv.peak_bytes},
          {"vectors_capacity", kv.vectors_capacity},
          {"vectors_stored", kv.vectors_stored},
          {"codec_fired", fired_json(kv.codec_fired)},
          {"skip_fired", fired_json(kv.skip_fired)}};
}

KvFacts kv_from(const Json& json) {
  KvFacts kv;
  kv.codes_bytes = json.at("codes_bytes").get<std::uint64_t>();
  kv.side_bytes = json.at("side_bytes").get<std::uint64_t>();
  kv.scratch_bytes = json.at("scratch_bytes").get<std::uint64_t>();
  kv.peak_bytes = json.at("peak_bytes").get<std::uint64_t>();
  kv.vectors_capacity = json.at("vectors_capacity").get<std::uint64_t>();
  kv.vectors_stored = json.at("vectors_stored").get<std::uint64_t>();
  kv.codec_fired = fired_from(json.at("codec_fired"));
  kv.skip_fired = fired_from(json.at("skip_fired"));
  return kv;
}

// Reading a part is a chain of at() and get(): the library's exception becomes one error here.
template <class Part, class Read>
Result<Part> guarded(const char* what, Read&& read) {
  try {
    return read();
  } catch (const nlohmann::json::exception& exception) {
    return corrupt_data(fmt::format("read {}: {}", what, exception.what()));
  }
}

Status check_cycle_lists(std::size_t lengths, std::size_t proposed, std::size_t emitted) {
  if (lengths == proposed && lengths == emitted) return {};
  return corrupt_data(fmt::format("read record: acceptance_lengths has {} cycles, proposed {}, emitted {}",
                                  lengths, proposed, emitted));
}

}  // namespace

std::string ids_sha256(const std::vector<Token>& ids) {
  return sha256_text(fmt::format("{}", fmt::join(ids, ",")));
}

Json to_json(const FreePart& part) {
  Json lengths = Json::array(), proposed = Json::array(), emitted = Json::array();
  for (const Cycle& cycle : part.cycles) {
    lengths.push_back(cycle.length());
    proposed.push_back(cycle.proposed);
    emitted.push_back(cycle.emitted);
  }
  return {{"output_tokens", part.output_ids.size()},
          {"finish_reason", part.finish_reason},
          {"acceptance_lengths", lengths},
          {"proposed", proposed},
          {"emitted", emitted},
          {"target_forwards", part.target_forwards},
          {"ttft_ms", part.ttft_ms},
          {"decode_ms", part.decode_ms},
          {"draft_ms", part.draft_ms},
          {"verify_ms", part.verify_ms},
          {"correct", part.correct ? Json(*part.correct) : Json(nullptr)},
          {"grade_detail", to_valid_utf8(part.grade_detail)},
          {"output_sha256", ids_sha256(part.output_ids)},
          {"output_ids", part.output_ids},
          {"text", to_valid_utf8(part.text)},
          {"kv",
           {{"target", kv_json(part.memory.target)},
            {"draft", kv_json(part.memory.draft)},
            {"taps_bytes", part.memory.taps_bytes},
            {"model_scratch_bytes", part.memory.model_scratch_bytes}}}};
}

Result<FreePart> free_from_json(const Json& json) {
  return guarded<FreePart>("free part of a record", [&]() -> Result<FreePart> {
    FreePart part;
    const auto lengths = json.at("acceptance_lengths").get<std::vector<std::uint32_t>>();
    const auto proposed = json.at("proposed").get<std::vector<std::uint32_t>>();
    const auto emitted = json.at("emitted").get<std::vector<std::uint32_t>>();
    KAKEYA_TRY(check_cycle_lists(lengths.size(), proposed.size(), emitted.size()));
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      if (lengths[i] == 0 || lengths[i] - 1 > proposed[i]) {
        return corrupt_data(
            fmt::format("read record: cycle {} has length {} of {} proposed", i, lengths[i], proposed[i]));
      }
      part.cycles.push_back({proposed[i], lengths[i] - 1, emitted[i]});
    }
    part.finish_reason = json.at("finish_reason").get<std::string>();
    part.target_forwards = json.at("target_forwards").get<std::uint64_t>();
    part.ttft_ms = json.at("ttft_ms").get<double>();
    part.decode_ms = json.at("decode_ms").get<double>();
    part.draft_ms = json.at("draft_ms").get<double>();
    part.verify_ms = json.at("verify_ms").get<double>();
    if (!json.at("correct").is_null()) part.correct = json.at("correct").get<bool>();
    part.grade_detail = json.at("grade_detail").get<std::string>();
    part.output_ids = json.at("output_ids").get<std::vector<Token>>();
    part.text = json.at("text").get<std::string>();
    const Json& kv = json.at("kv");
    part.memory.target = kv_from(kv.at("target"));
    part.memory.draft = kv_from(kv.at("draft"));
    part.memory.taps_bytes = kv.at("taps_bytes").get<std::uint64_t>();
    part.memory.model_scratch_bytes = kv.at("model_scratch_bytes").get<std::uint64_t>();
    if (json.at("output_sha256").get<std::string>() != ids_sha256(part.output_ids)) {
      return corrupt_data("read record: output_sha256 does not belong to output_ids");
    }
    return part;
  });
}

Json to_json(const ForcedPart& part) {
  Json indices = Json::array(), proposed = Json::array(), accepted = Json::array();
  for (const ForcedAnchor& anchor : part.anchors) {
    indices.push_back(anchor.index);
    proposed.push_back(anchor.proposed);
    accepted.push_back(anchor.accepted);
  }
  return {{"reference_sha256", part.reference_sha256},
          {"reference_tokens", part.reference_tokens},
          {"anchors", indices},
          {"proposed", proposed},
          {"accepted", accepted},
          {"positions", part.positions},
          {"top1_agree", part.top1_agree},
          {"kl_sum", part.kl_sum},
          {"nll_sum", part.nll_sum},
          {"nll_baseline_sum", part.nll_baseline_sum},
          {"first_divergence", part.first_divergence}};
}

Result<ForcedPart> forced_from_json(const Json& json) {
  return guarded<ForcedPart>("forced part of a record", [&]() -> Result<ForcedPart> {
    ForcedPart part;
    part.reference_sha256 = json.at("reference_sha256").get<std::string>();
    part.reference_tokens = json.at("reference_tokens").get<std::size_t>();
    const auto indices = json.at("anchors").get<std::vector<std::size_t>>();
    const auto proposed = json.at("proposed").get<std::vector<std::uint32_t>>();
    const auto accepted = json.at("accepted").get<std::vector<std::uint32_t>>();
    KAKEYA_TRY(check_cycle_lists(indices.size(), proposed.size(), accepted.size()));
    for (std::size_t i = 0; i < indices.size(); ++i)
      part.anchors.push_back({indices[i], proposed[i], accepted[i]});
    part.positions = json.at("positions").get<std::size_t>();
    part.top1_agree = json.at("top1_agree").get<std::size_t>();
    part.kl_sum = json.at("kl_sum").get<double>();
    part.nll_sum = json.at("nll_sum").get<double>();
    part.nll_baseline_sum = json.at("nll_baseline_sum").get<double>();
    part.first_divergence = json.at("first_divergence").get<std::ptrdiff_t>();
    return part;
  });
}

Json to_json(const Record& record, const std::string& primary) {
  Json json = {{"index", record.index},
               {"task_id", to_valid_utf8(record.task_id)},
               {"prompt_tokens", record.prompt_tokens},
               {"max_tokens", record.max_tokens}};
  if (record.free) {
    json.update(to_json(*record.free));
  } else {
    for (const char* key :
         {"output_tokens", "finish_reason", "ttft_ms", "decode_ms", "correct", "output_sha256", "text"}) {
      json[key] = nullptr;
    }
    json["acceptance_lengths"] = Json::array();
  }
  json["forced"] = record.forced ? to_json(*record.forced) : Json(nullptr);
  if (primary == "forced" && record.forced) {
    if (record.free) json["free_acceptance_lengths"] = json["acceptance_lengths"];
    json["acceptance_lengths"] = Json::array();
    for (const ForcedAnchor& anchor : record.forced->anchors)
      json["acceptance_lengths"].push_back(anchor.accepted + 1);
  }
  return json;
}

Result<Record> record_from_json(const Json& json) {
  return guarded<Record>("record", [&]() -> Result<Record> {
    Record record;
    record.index = json.at("index").get<std::size_t>();
    record.task_id = json.at("task_id").get<std::string>();
    record.prompt_tokens = json.at("prompt_tokens").get<std::size_t>();
    record.max_tokens = json.at("max_tokens").get<std::size_t>();
    if (!json.at("output_tokens").is_null()) {
      Json own = json;
      if (json.contains("free_acceptance_lengths"))
        own["acceptance_lengths"] = json.at("free_acceptance_lengths");
      KAKEYA_ASSIGN(record.free, free_from_json(own));
    }
    if (!json.at("forced").is_null()) {
      KAKEYA_ASSIGN(record.forced, forced_from_json(json.at("forced")));
    }
    return record;
  });
}

}  // namespace kakeya::acceptance
