// Lookup and checks of tensors; no arithmetic beyond the conversion of vectors to float.
#include "model/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace kakeya::model {
namespace {

constexpr const char* kPrefix = "model.";

Result<kernels::WeightType> weight_type(const formats::TensorView& view, const std::string& what,
                                        const std::string& name) {
  switch (view.dtype) {
    case formats::Dtype::kF32:
      return kernels::WeightType::kF32;
    case formats::Dtype::kF16:
      return kernels::WeightType::kF16;
    case formats::Dtype::kBf16:
      return kernels::WeightType::kBf16;
    default:
      break;
  }
  return unsupported(
      fmt::format("{}: tensor {}: dtype {}, expected F32, F16 or BF16", what, name, view.dtype_name));
}

}  // namespace

const formats::TensorView* WeightLoader::find(const std::string& name) const {
  if (const auto* view = store_.find(name)) return view;
  if (name.starts_with(kPrefix)) return store_.find(name.substr(std::strlen(kPrefix)));
  return store_.find(kPrefix + name);
}

Result<const formats::TensorView*> WeightLoader::checked(const std::string& name,
                                                         const std::vector<std::uint64_t>& shape) {
  const formats::TensorView* view = find(name);
  if (view == nullptr) {
    return not_found(
        fmt::format("{}: tensor {} is missing, expected shape [{}]", what_, name, fmt::join(shape, ", ")));
  }
  if (view->shape != shape) {
    return corrupt_data(fmt::format("{}: tensor {}: shape [{}], expected [{}] by the configuration", what_,
                                    name, fmt::join(view->shape, ", "), fmt::join(shape, ", ")));
  }
  return view;
}

Result<kernels::Weight> WeightLoader::matrix(const std::string& name, std::size_t out, std::size_t in) {
  KAKEYA_ASSIGN(const formats::TensorView* view, checked(name, {out, in}));
  KAKEYA_ASSIGN(const kernels::WeightType type, weight_type(*view, what_, name));
  if (view->paired_rows) {
    return unsupported(fmt::format(
        "{}: tensor {}: rows in the order of a llama GGUF file, expected Hugging Face's", what_, name));
  }
  const void* data = view->bytes.data();
  if (reinterpret_cast<std::uintptr_t>(data) % kernels::bytes_per_weight(type) != 0) {
    owned_.push_back(std::make_unique_for_overwrite<std::byte[]>(view->bytes.size()));
    std::memcpy(owned_.back().get(), data, view->bytes.size());
    data = owned_.back().get();
  }
  parameters_ += out * in;
  const char* dtype = kernels::to_string(type);
  if (matrix_dtype_.empty()) matrix_dtype_ = dtype;
  if (matrix_dtype_ != dtype) matrix_dtype_ = "mixed";
  return kernels::Weight{data, type, out, in};
}

Result<std::vector<float>> WeightLoader::vector(const std::string& name, std::size_t n) {
  KAKEYA_ASSIGN(const formats::TensorView* view, checked(name, {n}));
  KAKEYA_ASSIGN(const kernels::WeightType type, weight_type(*view, what_, name));
  // Copied first: load_row wants aligned data.
  const auto aligned = std::make_unique_for_overwrite<std::byte[]>(view->bytes.size());
  std::memcpy(aligned.get(), view->bytes.data(), view->bytes.size());
  std::vector<float> out(n);
  kernels::find("scalar")->load_row({aligned.get(), type, 1, n}, 0, out.data());
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(out[i])) {
      return Error{
          ErrorCode::kNumeric,
          fmt::format("{}: tensor {}: element {} is {}, expected a finite number", what_, name, i, out[i])};
    }
  }
  parameters_ += n;
  return out;
}

}  // namespace kakeya::model
