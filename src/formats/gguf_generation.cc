// What a GGUF file says of generating: tokens that end a text, sampling its makers recommend.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "formats/config_reader.h"
#include "formats/gguf_config.h"
#include "formats/sampling_defaults.h"

namespace kakeya::formats {

using nlohmann::json;

Result<GenerationConfig> gguf_generation_config(const GgufFile& file) {
  const json object = gguf_metadata_json(file);
  const ConfigReader reader(file.name, object);
  GenerationConfig out;
  const auto add = [&](std::uint64_t id) {
    const auto token = static_cast<Token>(id);
    if (std::find(out.eos_token_ids.begin(), out.eos_token_ids.end(), token) == out.eos_token_ids.end()) {
      out.eos_token_ids.push_back(token);
    }
  };
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (!reader.has(key)) continue;
    KAKEYA_ASSIGN(const std::uint64_t id, reader.uint(key, {0, 0x7fffffff}));
    add(id);
  }
  // A GGUF file has room for one id of a kind, generation_config.json for many.
  const GgufMeta* tokens = file.find("tokenizer.ggml.tokens");
  const GgufMeta* types = file.find("tokenizer.ggml.token_type");
  if (tokens != nullptr && types != nullptr) {
    const auto texts = string_items(*tokens);
    const auto kinds = integer_items(*types);
    constexpr std::string_view kEnds[] = {"<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eom_id|>",
                                          "<|eot_id|>"};
    for (std::size_t i = 0; i < std::min(texts.size(), kinds.size()); ++i) {
      if (kinds[i] != static_cast<std::int64_t>(GgufTokenType::kControl)) continue;
      if (std::find(std::begin(kEnds), std::end(kEnds), texts[i]) != std::end(kEnds)) add(i);
    }
  }
  KAKEYA_ASSIGN(out.sampling,
                read_sampling_defaults(
                    reader, {"general.sampling.temp", "general.sampling.top_p", "general.sampling.top_k",
                             "general.sampling.min_p", "general.sampling.penalty_repeat"}));
  return out;
}

}  // namespace kakeya::formats
