// Which tensors a quantised file gets, in which types. Decides; converts nothing.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf_names.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "kernels/kernels.h"

namespace kakeya::engine {

// The mix of types that a name stands for.
struct QuantizeMix {
  const char* name;
  kernels::WeightType type;
  std::uint32_t file_type;  // general.file_type
};
const QuantizeMix* find_mix(const std::string& name);  // null when unknown
const std::vector<QuantizeMix>& quantize_mixes();

struct PlannedTensor {
  std::string name;                             // in the file
  const formats::TensorView* source = nullptr;  // null for rope_freqs.weight, which is computed
  kernels::WeightType source_type = kernels::WeightType::kF32;
  std::vector<std::uint64_t> shape;  // [out, in] or [n]
  kernels::WeightType type = kernels::WeightType::kF32;
  std::size_t paired_heads = 0;  // rows are reordered within so many heads; 0 = not at all
};

struct QuantizePlan {
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> notes;
};

const formats::GgmlType& ggml_type(kernels::WeightType type);

// Every tensor that config.json asks for, checked for shape and dtype; others are refused by name.
// Errors: kNotFound, kCorruptData, kUnsupported.
Result<QuantizePlan> plan_quantize(const std::string& what, const formats::TensorStore& store,
                                   const formats::ModelConfig& config, const QuantizeMix& mix, bool pure);

}  // namespace kakeya::engine
