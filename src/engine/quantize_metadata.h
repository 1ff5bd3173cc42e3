// The metadata of a GGUF file from what a Hugging Face directory says: sizes, RoPE, tokenizer.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "formats/gguf_writer.h"
#include "formats/model_config.h"
#include "formats/tokenizer_file.h"

namespace kakeya::engine {

// Errors: kUnsupported for what the keys of the architecture cannot say.
Status set_model_metadata(const std::string& what, const std::string& name,
                          const formats::ModelConfig& config, std::uint32_t file_type,
                          formats::GgufWriter& writer);

// Errors: kCorruptData (more tokens than vocab_size), kUnsupported (splitting rule without a name in GGUF).
Status set_tokenizer_metadata(const std::string& what, const formats::TokenizerFile& tokenizer,
                              const formats::ModelConfig& config, const std::vector<Token>& eos_ids,
                              formats::GgufWriter& writer);

// rope_freqs.weight: what the frequencies are divided by under Llama-3.1 scaling.
std::vector<float> rope_factors(const formats::ModelConfig& config);

}  // namespace kakeya::engine
