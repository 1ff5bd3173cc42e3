// One prompt under one channel: what the free run and the forced run measured, and its JSON form in journals
// and result files. Nothing is summed up here.
#pragma once
#include <kakeya/result.h>
#include <kakeya/session.h>
#include <kakeya/token.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace kakeya::acceptance {

// Calls and vectors of one layer's counter.
struct FiredCount {
  std::uint64_t calls = 0, vectors = 0;
};

// One cache after a run, from its allocations.
struct KvFacts {
  std::uint64_t codes_bytes = 0, side_bytes = 0, scratch_bytes = 0, peak_bytes = 0;
  std::uint64_t vectors_capacity = 0, vectors_stored = 0;
  std::vector<FiredCount> codec_fired, skip_fired;  // per layer
};

struct MemoryFacts {
  KvFacts target, draft;
  std::uint64_t taps_bytes = 0, model_scratch_bytes = 0;
};

// The channel generated its own text.
struct FreePart {
  std::vector<Token> output_ids;
  std::string text;
  std::string finish_reason;  // "stop" or "length"
  std::vector<Cycle> cycles;
  std::uint64_t target_forwards = 0;
  double ttft_ms = 0, decode_ms = 0, draft_ms = 0, verify_ms = 0;
  MemoryFacts memory;
  std::optional<bool> correct;  // not set: could not be graded here
  std::string grade_detail;
};

// The channel followed the bf16 text.
struct ForcedPart {
  std::string reference_sha256;  // of the bf16 output_ids, as output_sha256
  std::size_t reference_tokens = 0;
  std::vector<ForcedAnchor> anchors;
  std::size_t positions = 0, top1_agree = 0;
  double kl_sum = 0, nll_sum = 0, nll_baseline_sum = 0;
  std::ptrdiff_t first_divergence = -1;
};

struct Record {
  std::size_t index = 0;  // row in the data set
  std::string task_id;
  std::size_t prompt_tokens = 0;
  std::size_t max_tokens = 0;  // what the context left of --max-tokens
  std::optional<FreePart> free;
  std::optional<ForcedPart> forced;
};

// SHA-256 of the ids as decimal numbers joined by commas: anyone can recompute it from output_ids.
std::string ids_sha256(const std::vector<Token>& ids);

nlohmann::ordered_json to_json(const FreePart& part);
nlohmann::ordered_json to_json(const ForcedPart& part);
// Errors: kCorruptData naming the field.
Result<FreePart> free_from_json(const nlohmann::ordered_json& json);
Result<ForcedPart> forced_from_json(const nlohmann::ordered_json& json);

// The record as result files hold it; acceptance_lengths come from `primary` ("free" or "forced").
nlohmann::ordered_json to_json(const Record& record, const std::string& primary);
Result<Record> record_from_json(const nlohmann::ordered_json& json);

}  // namespace kakeya::acceptance
