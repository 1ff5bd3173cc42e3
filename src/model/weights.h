// From checked tensors to typed weights: every name, dtype and shape is compared before anything runs.
// Matrices stay where the file is mapped; vectors become float once.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "kernels/kernels.h"

namespace kakeya::model {

// Tensors whose file offset does not suit their element type are copied here; all others are used in place.
using OwnedTensors = std::vector<std::unique_ptr<std::byte[]>>;

class WeightLoader {
 public:
  // `what` names the model in messages, for example its directory. The store outlives loader and weights.
  WeightLoader(const formats::TensorStore& store, std::string what) : store_(store), what_(std::move(what)) {}

  // Matrix [out, in]. The name is looked up as given, with "model." added and without it.
  // Errors: kNotFound, kCorruptData (shape), kUnsupported (dtype), each naming model, tensor, found,
  // expected.
  Result<kernels::Weight> matrix(const std::string& name, std::size_t out, std::size_t in);
  // Vector [n] as float. Errors: as above, and kNumeric when it holds NaN or infinity.
  Result<std::vector<float>> vector(const std::string& name, std::size_t n);
  bool has(const std::string& name) const { return find(name) != nullptr; }

  std::size_t parameters() const { return parameters_; }
  // Of the matrices read so far: "bf16", or "mixed".
  const std::string& matrix_dtype() const { return matrix_dtype_; }
  OwnedTensors take_owned() { return std::move(owned_); }

 private:
  const formats::TensorView* find(const std::string& name) const;
  Result<const formats::TensorView*> checked(const std::string& name,
                                             const std::vector<std::uint64_t>& shape);

  const formats::TensorStore& store_;
  std::string what_;
  std::size_t parameters_ = 0;
  std::string matrix_dtype_;
  OwnedTensors owned_;
};

}  // namespace kakeya::model
