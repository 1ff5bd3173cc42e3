// What the benchmark needs from an engine. Two implementations: sdk_engine.h (the real one, through
// include/kakeya) and mock_engine.h (theory, for --dry-run).
#pragma once
#include <kakeya/options.h>
#include <kakeya/result.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acceptance/dataset.h"
#include "acceptance/records.h"

namespace kakeya::acceptance {

struct ModelFacts {
  std::string id, path, sha256, dtype, architecture;
  std::size_t parameters = 0, weight_bytes = 0;
  std::size_t layers = 0, kv_heads = 0, head_dim = 0, context = 0;
  std::size_t block_size = 0;  // drafts
};

struct ChannelFacts {
  std::string name, lattice;
  int q_range = 0;
  double bits_allocated = 0, bits_formula = 0;  // per vector of head_dim values
  int boundary = 0;
  std::string draft_channel;
  std::vector<std::string> layers;  // channel in effect, per layer of the target
};

// True once the user wants to stop.
using StopSignal = std::function<bool()>;

enum class PromptStyle { kPlain, kReference };
const char* to_string(PromptStyle style);  // "plain", "reference"

// One prompt, ready to run.
struct Prompt {
  std::vector<Token> ids;
  std::string template_name;  // "qwen3", ..., or "raw"
};

struct GenerationSettings {
  std::string draft_channel = "bf16";
  int boundary = 0;
  std::size_t context_tokens = 0;  // what caches are sized for: the longest prompt + output of the run
  std::size_t block_size = 0, verify_width = 0;
  float temperature = 0;
  std::uint64_t seed = 0;
};

class BenchEngine {
 public:
  virtual ~BenchEngine() = default;
  virtual const char* kind() const = 0;  // "kakeya" or "mock"
  bool is_mock() const { return std::string(kind()) == "mock"; }

  virtual const ModelFacts& target() const = 0;
  virtual const ModelFacts& draft() const = 0;
  virtual int threads() const = 0;
  virtual std::string isa() const = 0;
  virtual const std::vector<Token>& stop_ids() const = 0;

  virtual Result<ChannelFacts> channel(const std::string& name, const GenerationSettings& settings) const = 0;
  virtual Result<Prompt> prompt(const Problem& problem, PromptStyle style) const = 0;

  // Every call starts from an empty cache. Errors: kCancelled once stop() is true.
  virtual Result<FreePart> free_run(const std::string& channel, const Prompt& prompt, std::size_t max_tokens,
                                    const GenerationSettings& settings, const StopSignal& stop) = 0;
  // reference: greedy bf16 output of the same prompt; anchors: ascending indices into it.
  virtual Result<ForcedPart> forced_run(const std::string& channel, const Prompt& prompt,
                                        const std::vector<Token>& reference,
                                        const std::vector<std::size_t>& anchors,
                                        const GenerationSettings& settings) = 0;
};

}  // namespace kakeya::acceptance
