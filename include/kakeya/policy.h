// What the decoding policy of Speculation::kAuto did in one request.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kakeya {

// Why the policy went over to another verify width. Width 1 is plain decoding.
enum class ModeReason {
  kMeasure,  // plain steps that show what plain decoding costs now
  kOpening,  // first drafts of a request, on the advance that its length allows
  kGain,     // drafts are expected to pay
  kWidth,    // another width is expected to pay more
  kProbe,    // a look whether drafts stand again
  kNoGain,   // no width is expected to beat plain decoding
  kBudget,   // the loss budget does not allow the risk of a cycle
  kEnd,      // the end of the request or of the context leaves no room for drafts
  kHistory,  // earlier requests of this engine gained nothing, so a long prompt is not shown to the draft
};
const char* to_string(ModeReason reason);  // "measure", "opening", ...

struct ModeChange {
  std::size_t cycle = 0;  // the first with the new width; index into Generation::cycles
  std::size_t token = 0;  // index into Generation::ids of that cycle's first token
  std::uint32_t from_width = 0, to_width = 0;
  ModeReason reason = ModeReason::kMeasure;
};

// What Speculation::kAuto did. Times are estimates from this request's own passes.
struct PolicyReport {
  std::vector<ModeChange> changes;  // a request starts plain, without an entry
  std::size_t plain_cycles = 0, speculative_cycles = 0;
  double plain_step_ms = 0;  // one plain step at the end of the request
  double plain_ms = 0;       // prompt and output by plain decoding
  double gained_ms = 0;      // against plain_ms; negative: lost
};

}  // namespace kakeya
