#include "hub/model_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace kakeya::hub {
namespace {

constexpr std::array kAliases = {
    Alias{"qwen3-0.6b", "Qwen/Qwen3-0.6B"},
    Alias{"qwen3-1.7b", "Qwen/Qwen3-1.7B"},
    Alias{"qwen3-4b", "Qwen/Qwen3-4B"},
    Alias{"qwen3-8b", "Qwen/Qwen3-8B"},
    Alias{"qwen3-14b", "Qwen/Qwen3-14B"},
    Alias{"qwen3-32b", "Qwen/Qwen3-32B"},
    Alias{"llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct"},
    Alias{"llama-3.2-1b", "meta-llama/Llama-3.2-1B-Instruct"},
    Alias{"llama-3.2-3b", "meta-llama/Llama-3.2-3B-Instruct"},
    Alias{"qwen3-4b-dflash", "z-lab/Qwen3-4B-DFlash-b16"},
    Alias{"qwen3-8b-dflash", "z-lab/Qwen3-8B-DFlash-b16"},
    Alias{"llama-3.1-8b-dflash", "z-lab/LLaMA3.1-8B-Instruct-DFlash-UltraChat"},
};

struct KnownDraft {
  const char* target;  // lower case, without organisation and quantisation
  const char* draft;
};
constexpr std::array kDrafts = {
    KnownDraft{"qwen3-4b", "z-lab/Qwen3-4B-DFlash-b16"},
    KnownDraft{"qwen3-8b", "z-lab/Qwen3-8B-DFlash-b16"},
    KnownDraft{"llama-3.1-8b-instruct", "z-lab/LLaMA3.1-8B-Instruct-DFlash-UltraChat"},
    KnownDraft{"meta-llama-3.1-8b-instruct", "z-lab/LLaMA3.1-8B-Instruct-DFlash-UltraChat"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The end of a name that says how the weights are stored and nothing about whose they are.
bool is_storage_suffix(std::string_view text) {
  if (text.empty()) return true;
  if (std::string_view("-._:").find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  for (const char* word : {"gguf", "mlx", "bf16", "f16", "f32", "q2", "q3", "q4", "q5", "q6", "q8", "iq",
                           "ud-", "4bit", "8bit", "mxfp4"}) {
    if (text.rfind(word, 0) == 0) return true;
  }
  return false;
}

}  // namespace

std::span<const Alias> aliases() { return kAliases; }

std::optional<ModelId> id_of_name(std::string_view name) {
  const std::string wanted = lower(name);
  for (const Alias& alias : kAliases) {
    if (wanted == alias.name) return parse_model_id(alias.id);
  }
  return parse_model_id(name);
}

Result<ResolvedModel> resolve_model(const std::string& name, const Store& store) {
  std::error_code error;
  if (name == "tiny" || name.rfind("random:", 0) == 0 || std::filesystem::exists(name, error)) {
    return ResolvedModel{name, {}};
  }
  const auto id = id_of_name(name);
  if (!id) return ResolvedModel{name, {}};
  const auto manifest = store.find_any(*id);
  if (manifest.ok()) return ResolvedModel{store.model_path(*manifest, id->variant), manifest->id};
  if (manifest.error().code != ErrorCode::kNotFound) return manifest.error();
  return not_found(
      fmt::format("model {}: found neither a path nor a pulled model of that name; kakeya-llm pull {} "
                  "gets it",
                  name, id->text()));
}

std::optional<ModelId> suggested_draft(std::string_view target) {
  while (!target.empty() && target.back() == '/') target.remove_suffix(1);
  const std::string name = lower(target.substr(target.rfind('/') + 1));
  for (const KnownDraft& known : kDrafts) {
    const std::string_view key = known.target;
    if (name.compare(0, key.size(), key) == 0 &&
        is_storage_suffix(std::string_view(name).substr(key.size()))) {
      return parse_model_id(known.draft);
    }
  }
  return {};
}

}  // namespace kakeya::hub
