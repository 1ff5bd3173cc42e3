// Options of a run. Every default has its reason beside it.
#pragma once
#include <kakeya/token.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kakeya {

class TokenConstraint;  // kakeya/constraint.h

// Larger blocks are refused: scratch and taps grow with the block, and no published draft goes beyond 16.
inline constexpr std::size_t kMaxBlockSize = 512;

struct SamplingOptions {
  float temperature = 0.0f;  // 0 = greedy: reproducible, and what acceptance is defined on
  int top_k = 0;             // 0 = off
  float top_p = 1.0f;        // 1 = off
  float min_p = 0.0f;        // 0 = off
  std::uint64_t seed = 0;
};

// Not set = the publisher says nothing.
struct SamplingDefaults {
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
};

// Changes of the target's logits before a token is chosen, row by row, in the order of the fields. The
// verified rows of a draft see the drafts before them, so the text is the same with and without one.
struct TokenRules {
  std::vector<std::pair<Token, float>> logit_bias;  // added
  float repetition_penalty = 1.0f;  // 1 = off: logits of tokens in prompt and output, > 0 divided by it, else
                                    // multiplied (CTRL, arXiv 1909.05858)
  std::size_t repeat_last_n = 0;    // tokens back that repetition_penalty looks; 0 = all
  float presence_penalty = 0;       // subtracted once for a token that is in the output
  float frequency_penalty = 0;      // subtracted for each time that it is in the output
  int min_tokens = 0;               // no stop id before so many tokens
  std::shared_ptr<TokenConstraint> constraint;  // the state of this generation alone; may be null
};

// What makes a drafted token stand at temperature > 0. Both leave the target's distribution unchanged.
enum class AcceptRule {
  kTargetSample,  // greedy draft, accepted while equal to the target's own sample: best measured, the default
  kRejection,     // sampled draft, accepted with probability min(1, p/q), residual on rejection
};

struct EngineOptions {
  std::string target = "tiny";  // directory in Hugging Face layout, GGUF file, or "tiny"
  std::string draft;            // directory or "tiny"; empty = no drafter
  int threads = 0;              // 0 = every core this process may use
  std::string isa;              // CPU variant by name; empty = the best one
  std::string share_dir;        // where "tiny" lives; empty = find_share_dir("")
  std::string chat_template;    // family by name or published text; empty = by the tokenizer's special tokens
  // How calls of tools are written: "qwen3" (JSON in <tool_call>), "qwen3-coder" (XML), "llama3" (JSON
  // alone). Empty or "auto" = as the model's own chat template says.
  std::string tool_format;
};

// How a row attends to packed KV.
enum class Attention {
  kAuto,   // kFast for quantised models, whose products round activations anyway; for others from 4096
           // positions on
  kExact,  // queries and weights in fp32
  kFast,   // rounded to about 15 bits where the channel has such a path; far below the channel's own error
};

struct SessionOptions {
  std::string kv = "bf16";        // KV channel of the target
  std::string draft_kv = "bf16";  // KV channel of the draft
  int boundary = 0;               // first and last layers kept in bf16
  Attention attention = Attention::kAuto;
  std::size_t max_tokens = 0;  // prompt + output; 0 = the model's max_position_embeddings
};

// Whether drafts are used, and who chooses how many rows the target verifies. Changes speed, never the text.
enum class Speculation {
  kAuto,   // width chosen each cycle from measured times and acceptance; plain decoding where drafts do not
           // pay. A block_size or verify_width that is given makes it kFixed.
  kFixed,  // every cycle fills block_size positions and verifies verify_width rows
  kOff,    // plain decoding, as without a drafter
};
const char* to_string(Speculation speculation);  // "auto", "fixed", "off"

struct GenerateOptions {
  int max_tokens = 256;  // of a Service also 0: the prompt alone is run, and stays in the cache
  SamplingOptions sampling;
  TokenRules rules;
  int logprobs = -1;  // alternatives reported for each token, 0 to 20; -1 = no log-probabilities
  // The same for the prompt's tokens from the second one on. All of the prompt is then run, nothing reused.
  int prompt_logprobs = -1;
  AcceptRule accept_rule = AcceptRule::kTargetSample;
  bool use_draft = true;  // ignored when the engine has no drafter; false is kOff
  Speculation speculation = Speculation::kAuto;
  std::size_t block_size = 0;    // tokens the draft fills, anchor included; 0 = the draft's own
  std::size_t verify_width = 0;  // rows the target verifies, anchor included; 0 = block_size
  bool ignore_stop = false;      // do not end at end-of-text ids
  std::vector<Token> extra_stop_ids;
};

}  // namespace kakeya
