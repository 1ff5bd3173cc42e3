// From checked tensors to typed weights: every name, dtype and shape is compared before anything runs. Plain
// matrices stay where the file is mapped, quantised ones are repacked into panels (kernels/panels.h) and
// their file pages let go, vectors become float once.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/page_buffer.h"
#include "base/thread_pool.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "kernels/kernels.h"
#include "kernels/panels.h"

namespace kakeya::model {

// Memory that weights point into, beside the mapped files. Matrices follow one another in large blocks, so
// that those smaller than a huge page lie on huge pages too.
class WeightMemory {
 public:
  // Zeros, 64-byte aligned, held as long as this object. Errors: kOutOfMemory naming the size.
  Result<std::span<std::byte>> allocate(std::size_t bytes);
  // Handed out; what is left of a block is not resident.
  std::size_t bytes() const { return used_bytes_; }

 private:
  std::vector<base::PageBuffer> blocks_;
  std::span<std::byte> rest_;  // of the block at hand
  std::size_t used_bytes_ = 0;
};

// Bytes of the files, or of the memory where there is no file.
std::size_t weight_bytes(const formats::TensorStore& store, const WeightMemory& owned);

// What a matrix is for, where that changes how it is kept.
struct MatrixUse {
  std::size_t head_dim = 0;  // rows form heads of this many (q_proj and k_proj); 0: they do not
  bool lookup_only = false;  // only single rows are read: a quantised matrix then stays in the mapped file
};

class WeightLoader {
 public:
  virtual ~WeightLoader() = default;
  // Matrix [out, in] of a Hugging Face name. Errors: kNotFound, kCorruptData (shape), kUnsupported (dtype),
  // each naming model, tensor, found, expected; kOutOfMemory.
  virtual Result<kernels::Weight> matrix(const std::string& name, std::size_t out, std::size_t in,
                                         MatrixUse use) = 0;
  Result<kernels::Weight> matrix(const std::string& name, std::size_t out, std::size_t in) {
    return matrix(name, out, in, MatrixUse{});
  }
  // Vector [n] as float. Errors: as above, and kNumeric when it holds NaN or infinity.
  virtual Result<std::vector<float>> vector(const std::string& name, std::size_t n) = 0;

  std::size_t parameters() const { return parameters_; }
  // Of the matrices read so far, by share: "bf16", or "q4_k+q6_k".
  std::string matrix_dtype() const;
  WeightMemory take_owned() { return std::move(owned_); }

 protected:
  void count_matrix(const kernels::Weight& weight);
  // Panels in memory of this loader. Errors: kOutOfMemory.
  Result<kernels::Weight> pack_rows(base::ThreadPool& pool, const kernels::QuantisedRows& rows,
                                    std::span<const std::uint32_t> order);

  std::size_t parameters_ = 0;
  WeightMemory owned_;

 private:
  std::map<std::string, std::size_t> values_of_dtype_;
};

// How far a file's weights are read: kHeaders makes every check of names, dtypes and shapes and gives weights
// without data, at the cost of reading headers.
enum class Reading { kWeights, kHeaders };

// Weights of a model directory or GGUF file.
class FileWeights final : public WeightLoader {
 public:
  // `what` names the model in messages, for example its path. The store and the configuration outlive loader
  // and weights.
  FileWeights(const formats::TensorStore& store, const formats::ModelConfig& config, base::ThreadPool& pool,
              std::string what, Reading reading = Reading::kWeights)
      : store_(store), config_(config), pool_(pool), what_(std::move(what)), reading_(reading) {}

  using WeightLoader::matrix;
  // The name is looked up as given, with "model." added and without it.
  Result<kernels::Weight> matrix(const std::string& name, std::size_t out, std::size_t in,
                                 MatrixUse use) override;
  Result<std::vector<float>> vector(const std::string& name, std::size_t n) override;

 private:
  const formats::TensorView* find(const std::string& name) const;
  Result<const formats::TensorView*> checked(const std::string& name,
                                             const std::vector<std::uint64_t>& shape);
  // Where the matrix can be read: in the file, or in a copy when it is not aligned or its rows change places.
  Result<const void*> plain_data(const formats::TensorView& view, kernels::WeightType type,
                                 std::span<const std::uint32_t> order);
  // nullopt when the module is not quantised.
  Result<std::optional<kernels::Weight>> affine_matrix(const std::string& name, std::size_t out,
                                                       std::size_t in);
  Result<kernels::Weight> pack(const kernels::QuantisedRows& rows, const std::string& name,
                               std::span<const std::uint32_t> order);

  const formats::TensorStore& store_;
  const formats::ModelConfig& config_;
  base::ThreadPool& pool_;
  std::string what_;
  Reading reading_;
};

}  // namespace kakeya::model
