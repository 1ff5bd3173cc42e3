#include "serve/ollama/catalog.h"

#include <fmt/format.h>

#include <string>

#include "dialog/prompt.h"
#include "serve/ollama/lines.h"

namespace kakeya::serve::ollama {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::string tagged(const std::string& id) { return id.find(':') == std::string::npos ? id + ":latest" : id; }

std::string parameter_size(std::size_t parameters) {
  const double n = static_cast<double>(parameters);
  return n >= 1e9 ? fmt::format("{:.1f}B", n / 1e9) : fmt::format("{:.1f}M", n / 1e6);
}

Json details(const ModelInfo& model) {
  return {{"parent_model", ""},
          {"format", model.path.ends_with(".gguf") ? "gguf" : "safetensors"},
          {"family", model.architecture},
          {"families", Json::array({model.architecture})},
          {"parameter_size", parameter_size(model.parameters)},
          {"quantization_level", model.dtype}};
}

// Names the model in lists. Of its description, not of its bytes: hashing those takes longer than clients
// wait.
std::string digest(const ModelInfo& model) {
  const std::string text =
      fmt::format("{}/{}/{}/{}/{}", model.id, model.path, model.parameters, model.weight_bytes, model.dtype);
  std::string hex;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    std::uint64_t hash = 14695981039346656037ull + seed;  // FNV-1a
    for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
    hex += fmt::format("{:016x}", hash);
  }
  return hex;
}

Json entry(const Context& context) {
  const ModelInfo& model = context.engine.target();
  return {{"name", tagged(context.model_id)},
          {"model", tagged(context.model_id)},
          {"modified_at", time_text(context.started_at * kSecond)},
          {"size", model.weight_bytes},
          {"digest", digest(model)},
          {"details", details(model)}};
}

bool one_token(const Engine& engine, const char* text) {
  const auto ids = engine.encode(text, true);
  return ids.ok() && ids.value().size() == 1;
}

}  // namespace

bool can_infill(const Engine& engine) {
  return one_token(engine, "<|fim_prefix|>") && one_token(engine, "<|fim_suffix|>") &&
         one_token(engine, "<|fim_middle|>");
}

Json tags(const Context& context) { return {{"models", Json::array({entry(context)})}}; }

Json running(const Context& context) {
  Json item = entry(context);
  // It stays for as long as the server does: as Ollama writes a keep_alive of -1.
  item["expires_at"] = "2318-01-01T00:00:00Z";
  item["size_vram"] = 0;
  item["context_length"] = context.context_tokens();
  return {{"models", Json::array({std::move(item)})}};
}

Json show(const Context& context) {
  const Engine& engine = context.engine;
  const ModelInfo& model = engine.target();
  const std::string& arch = model.architecture;
  std::string parameters = fmt::format("num_ctx {}", context.context_tokens());
  for (const Token id : engine.stop_ids()) parameters += fmt::format("\nstop \"{}\"", engine.token_bytes(id));
  Json capabilities = Json::array({"completion"});
  if (dialog::tool_format_of(engine)) capabilities.push_back("tools");
  if (one_token(engine, "<think>")) capabilities.push_back("thinking");
  const bool infill = can_infill(engine);
  if (infill) capabilities.push_back("insert");
  return {
      {"modelfile", fmt::format("# {}, served by kakeya-llm\nFROM {}\n", context.model_id, context.model_id)},
      {"parameters", parameters},
      // The template itself is built in; this says which variables it has, which is what clients look for.
      {"template", infill ? "{{ .System }}{{ .Prompt }}{{ .Suffix }}" : "{{ .System }}{{ .Prompt }}"},
      {"details", details(model)},
      {"model_info",
       {{"general.architecture", arch},
        {"general.parameter_count", model.parameters},
        {arch + ".context_length", context.context_tokens()},
        {arch + ".embedding_length", model.hidden_size},
        {arch + ".block_count", model.layers},
        {arch + ".attention.head_count", model.heads},
        {arch + ".attention.head_count_kv", model.kv_heads},
        {arch + ".attention.key_length", model.head_dim},
        {arch + ".vocab_size", model.vocab_size}}},
      {"capabilities", capabilities},
      {"modified_at", time_text(context.started_at * kSecond)}};
}

}  // namespace kakeya::serve::ollama
