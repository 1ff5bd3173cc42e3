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

// Default: the GGUF model of the quantisation that `id` names; else the safetensors at the top with every
// JSON file and chat template beside them; else the only GGUF model. A split GGUF model is all of its parts,
// also where a pattern takes one of them. Errors: kInvalidArgument (several GGUF models and none named,
// patterns that take nothing or leave a part out; both list what there is), kNotFound (quantisation, a part
// that the repository does not have), kUnsupported (neither safetensors nor GGUF).
Result<std::vector<HubFile>> choose_files(const ModelId& id, const std::vector<HubFile>& files,
                                          const Patterns& patterns);

// "Q4_K_M" of "dir/Model-8B-Q4_K_M.gguf": what follows the last '-' or '.' of the name, upper case. The
// number of a part is left out.
std::string quant_of(const std::string& path);
// Whether the name ends in '-' or '.' and `quant`, in any case: "UD-Q4_K_XL" and "Q4_K_XL" are both in
// "Model-UD-Q4_K_XL.gguf".
bool is_of_quant(const std::string& path, const std::string& quant);

// "16.4 GB", "123 kB"; decimal.
std::string readable_bytes(std::uint64_t bytes);

}  // namespace kakeya::hub
