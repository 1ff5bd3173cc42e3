// Models of random weights at true shapes, for measuring speed and memory where no files are. Never for
// measuring quality.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <string_view>

#include "model/weights.h"

namespace kakeya::model {

struct RandomModel {
  std::string id;  // "random-qwen3-8b-q4_0"
  formats::ModelConfig config;
  kernels::WeightType type = kernels::WeightType::kQ4_0;
};

// "random:NAME[:TYPE]", for example "random:qwen3-8b:q4_0".
bool is_random_model(std::string_view name);
// Errors: kInvalidArgument listing the known names or types.
Result<RandomModel> parse_random_model(std::string_view name);

class RandomWeights final : public WeightLoader {
 public:
  RandomWeights(kernels::WeightType type, base::ThreadPool& pool) : type_(type), pool_(pool) {}

  using WeightLoader::matrix;
  // Gaussian with deviation in^-1/2, so that activations stay in range. Rows repeat: speed does not depend on
  // values, and making billions of them would take minutes.
  Result<kernels::Weight> matrix(const std::string& name, std::size_t out, std::size_t in,
                                 MatrixUse use) override;
  // Ones.
  Result<std::vector<float>> vector(const std::string& name, std::size_t n) override;

 private:
  kernels::WeightType type_;
  base::ThreadPool& pool_;
};

}  // namespace kakeya::model
