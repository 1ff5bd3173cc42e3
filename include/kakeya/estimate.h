// What a model is and what it will need in memory, from the headers of its files: nothing is loaded.
#pragma once
#include <kakeya/engine.h>
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kakeya {

enum class ModelRole { kTarget, kDraft };

struct ModelSummary {
  ModelInfo info;                   // sha256 is empty; random_weights when nothing lies on disk
  std::size_t tensors = 0;          // 0 for random weights
  std::size_t files = 0;            // that hold them
  std::uint64_t scratch_bytes = 0;  // work buffers at the largest chunk of a prompt
};

// `name` and `share_dir` as in EngineOptions. The configuration and the headers of the files are checked, not
// the weights themselves. Errors: those of Engine::open that need no weights.
Result<ModelSummary> summarize_model(const std::string& name, ModelRole role, const std::string& share_dir);

// A digest of configuration, tensor names and shapes and samples of the weights, the same that saved sessions
// carry: cheap for a large model, and no other model shares it. Errors: as summarize_model.
Result<std::string> model_fingerprint(const std::string& name, ModelRole role, const std::string& share_dir);

// Whether `draft` can run with `target`: layers, sizes, tapped layers, mask, block and the shapes of all the
// draft's tensors, from configurations and headers. Errors: those of Engine::open in its words. The value is
// what runs but is not what a draft trained for this target has: another RoPE, another tokenizer.
Result<std::vector<std::string>> check_pair(const std::string& target, const std::string& draft,
                                            const std::string& share_dir);

struct MemoryQuestion {
  std::string kv = "bf16", draft_kv = "bf16";
  int boundary = 0;        // first and last layers of the target that stay bf16
  std::size_t tokens = 0;  // in the caches
};

// Bytes. Weights are counted as large as their files.
struct MemoryNeed {
  std::uint64_t weights = 0, draft_weights = 0;
  std::uint64_t kv = 0, draft_kv = 0;               // whole pages
  double kv_per_token = 0, draft_kv_per_token = 0;  // allocated, pages that are full
  std::uint64_t scratch = 0;                        // target, draft, tapped states
  std::uint64_t total() const { return weights + draft_weights + kv + draft_kv + scratch; }
};

// `draft` may be null. Errors: kInvalidArgument (channel, boundary), kUnsupported (channel and head_dim).
Result<MemoryNeed> estimate_memory(const ModelSummary& target, const ModelSummary* draft,
                                   const MemoryQuestion& question);

}  // namespace kakeya
