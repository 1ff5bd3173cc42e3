// Which files of a repository are the model.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "hub/hub_api.h"

namespace kakeya::hub {

struct Patterns {
  // As a shell's, but '*' takes '/' too; "dir/" is everything below it. Without `include` the default choice.
  std::vector<std::string> include, exclude;
};

// Default: the GGUF file of the quantisation that `id` names; else the safetensors at the top with every JSON
// file and chat template beside them; else the only GGUF file. Errors: kInvalidArgument (several GGUF files
// and none named, patterns that take nothing; both list what there is), kNotFound (quantisation),
// kUnsupported (neither safetensors nor GGUF; a GGUF file in parts).
Result<std::vector<HubFile>> choose_files(const ModelId& id, const std::vector<HubFile>& files,
                                          const Patterns& patterns);

// "Q4_K_M" of "dir/Model-8B-Q4_K_M.gguf": what follows the last '-' or '.' of the name, upper case.
std::string quant_of(const std::string& path);

// "16.4 GB", "123 kB"; decimal.
std::string readable_bytes(std::uint64_t bytes);

}  // namespace kakeya::hub
