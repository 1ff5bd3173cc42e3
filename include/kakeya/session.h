// One sequence: its KV caches, scratch and random state. Not thread-safe.
#pragma once
#include <kakeya/options.h>
#include <kakeya/policy.h>
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kakeya {

// One draft-verify cycle. Emitted = accepted + 1 (the target's own token), unless a stop or limit cut it.
struct Cycle {
  std::uint32_t proposed = 0;
  std::uint32_t accepted = 0;
  std::uint32_t emitted = 0;
  std::uint32_t length() const {
    return accepted + 1;
  }  // acceptance length, uncut: the paper's tau per cycle
};

struct Timings {
  double ttft_ms = 0;  // call to first token, prompt included
  double prefill_ms = 0;
  double decode_ms = 0;  // first token to last
  double draft_ms = 0;   // within decode_ms: observe + propose
  double verify_ms = 0;  // within decode_ms: target passes
};

enum class FinishReason { kStop, kLength, kCancelled };
const char* to_string(FinishReason reason);  // "stop", "length", "cancelled"

// Natural logarithms under the target's own distribution: before rules, temperature and truncation.
struct TokenLogprob {
  Token id = 0;
  float logprob = 0;
  std::vector<std::pair<Token, float>> top;  // the most probable, falling
};

struct Generation {
  std::vector<Token> ids;  // stop token included when there is one
  std::string text;        // special tokens left out
  FinishReason finish = FinishReason::kLength;
  std::vector<TokenLogprob> logprobs;         // one per id when asked for
  std::vector<TokenLogprob> prompt_logprobs;  // of prompt[1], prompt[2], ... when asked for
  std::vector<Cycle> cycles;  // empty without a drafter; plain steps under kAuto are cycles that propose 0
  Speculation speculation = Speculation::kOff;  // in effect
  PolicyReport policy;                          // kAuto only
  std::uint64_t target_forwards = 0;  // passes of the target after the prompt, counted inside the model call
  Timings timings;
};

// New text as it settles; return false to cancel. `ids` are the tokens of this event.
using EventSink = std::function<bool(std::string_view text, std::span<const Token> ids)>;

struct LayerKv {
  std::string channel;  // in effect
  std::uint64_t codec_fired_calls = 0, codec_fired_vectors = 0;
  std::uint64_t skip_fired_calls = 0, skip_fired_vectors = 0;
};

// Bytes are real allocations.
struct KvLedger {
  std::string channel;
  std::vector<LayerKv> layers;
  double bits_allocated = 0, bits_formula = 0;  // per vector of head_dim values, layers in the channel
  std::size_t codes_bytes = 0, side_bytes = 0, scratch_bytes = 0, peak_bytes = 0;
  std::size_t vectors_capacity = 0, vectors_stored = 0;
};

struct MemoryLedger {
  KvLedger target;
  KvLedger draft;  // channel "" without a drafter
  std::size_t taps_bytes = 0;
  std::size_t model_scratch_bytes = 0;
};

// Forced reference: the cache is fed `reference`; at each anchor the draft proposes and the target verifies,
// through this session's channels, and the run goes on along the reference.
struct ForcedRequest {
  std::span<const Token> prompt;
  std::span<const Token> reference;      // bf16 greedy output of the same prompt
  std::span<const std::size_t> anchors;  // ascending indices into reference: the anchor token's own index
  std::size_t block_size = 0;            // 0 = the draft's own
  std::size_t verify_width = 0;          // 0 = block_size
};

struct ForcedAnchor {
  std::size_t index = 0;       // into reference
  std::uint32_t proposed = 0;  // may be cut at the end of the context
  std::uint32_t accepted = 0;
};

// Fidelity along the reference, against a bf16 cache fed the same tokens. Position i predicts reference[i].
struct ForcedResult {
  std::vector<ForcedAnchor> anchors;
  std::size_t positions = 0;
  std::size_t top1_agree = 0;            // argmax equal to the bf16 argmax
  double kl_sum = 0;                     // nats, KL(bf16 || channel), summed over positions
  double nll_sum = 0;                    // nats of reference tokens under the channel
  double nll_baseline_sum = 0;           // the same under bf16
  std::ptrdiff_t first_divergence = -1;  // first position whose argmax differs from bf16; -1 = none
};

enum class LogitSelection { kLast, kAll };

struct LogitResult {
  std::vector<float> logits;  // [rows, vocab]
  std::size_t rows = 0, vocab = 0;
  std::vector<float> taps;  // [tokens, taps * hidden] when asked for
  std::size_t tap_rows = 0, tap_width = 0;
};

struct PerplexityResult {
  double nll_sum = 0;  // nats
  std::size_t tokens = 0;
};

class Session {
 public:
  virtual ~Session() = default;
  // Starts over with `prompt`. Errors: kInvalidArgument (empty prompt, ids outside the vocabulary, prompt +
  // output beyond the context: names both), kNumeric.
  virtual Result<Generation> generate(std::span<const Token> prompt, const GenerateOptions& options,
                                      const EventSink& sink = {}) = 0;
  virtual Result<ForcedResult> forced_reference(const ForcedRequest& request) = 0;
  // taps: states of the draft's layers (or layers given by the draft config); needs a drafter.
  virtual Result<LogitResult> logits(std::span<const Token> ids, LogitSelection rows, bool taps) = 0;
  // Windows of ctx tokens, first token of each not scored. ctx 0 = the session's max_tokens.
  virtual Result<PerplexityResult> perplexity(std::span<const Token> ids, std::size_t ctx) = 0;
  // The mean over positions of the last layer's normed output, [hidden]. Errors: as logits.
  virtual Result<std::vector<float>> embed(std::span<const Token> ids) = 0;
  virtual MemoryLedger ledger() const = 0;
};

}  // namespace kakeya
