// config.json: whatever is accepted can be computed with.
#include "formats/model_config.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = kakeya::formats::parse_model_config("fuzz.json", std::string(as_text(data, size)));
  if (!config.ok()) {
    FUZZ_CHECK(config.error().message.find("fuzz.json") != std::string::npos);
    return 0;
  }
  FUZZ_CHECK(config->heads > 0 && config->kv_heads > 0 && config->heads % config->kv_heads == 0);
  FUZZ_CHECK(config->head_dim >= 2 && config->head_dim % 2 == 0 && config->layers > 0);
  FUZZ_CHECK(config->sliding.size() == config->layers && config->rope_theta >= 1);
  FUZZ_CHECK(config->rms_norm_eps > 0 && config->rope_scaling.factor >= 1);
  if (config->dflash.has_value()) {
    FUZZ_CHECK(config->dflash->block_size >= 2 && !config->dflash->target_layer_ids.empty());
    FUZZ_CHECK(config->dflash->mask_token_id >= 0);
  }
  return 0;
}
