// GGUF bytes: views stay inside the file, and whatever configuration or tokenizer is read can be used.
#include "formats/gguf.h"

#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "fuzz.h"
#include "text/tokenizer.h"

using namespace kakeya;

namespace {

void check_config(const formats::GgufFile& file) {
  const auto config = formats::gguf_model_config(file);
  if (!config.ok()) {
    FUZZ_CHECK(config.error().message.find("fuzz.gguf") != std::string::npos);
    return;
  }
  FUZZ_CHECK(config->heads > 0 && config->kv_heads > 0 && config->heads % config->kv_heads == 0);
  FUZZ_CHECK(config->head_dim >= 2 && config->head_dim % 2 == 0 && config->layers > 0);
  FUZZ_CHECK(config->sliding.size() == config->layers && config->vocab_size > 0);
  FUZZ_CHECK(config->rms_norm_eps > 0 && config->rope_scaling.factor >= 1 && config->rope_theta >= 1);
  if (config->dflash.has_value()) {
    FUZZ_CHECK(config->dflash->block_size >= 2 && !config->dflash->target_layer_ids.empty());
    FUZZ_CHECK(config->dflash->mask_token_id >= 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = formats::parse_gguf("fuzz.gguf", bytes);
  if (!file.ok()) {
    FUZZ_CHECK(file.error().message.find("fuzz.gguf") != std::string::npos);
    return 0;
  }
  std::size_t sum = 0;
  for (const formats::GgufTensor& tensor : file->tensors) {
    FUZZ_CHECK(tensor.bytes.data() >= bytes.data() &&
               tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size());
    sum += tensor.bytes.size();
  }
  FUZZ_CHECK(sum <= size);
  (void)formats::hugging_face_tensors(*file);
  (void)formats::gguf_generation_config(*file);
  check_config(*file);
  auto tokenizer_file = formats::gguf_tokenizer(*file);
  if (!tokenizer_file.ok()) {
    FUZZ_CHECK(tokenizer_file.error().message.find("fuzz.gguf") != std::string::npos);
    return 0;
  }
  const auto tokenizer = text::Tokenizer::create(std::move(tokenizer_file).value());
  if (tokenizer.ok()) (void)(*tokenizer)->encode("ab <|im_end|> 12", true);
  return 0;
}
