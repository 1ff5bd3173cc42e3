// What the tests of this folder share: golden files, caches, and the plainest draft-verify loop.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "formats/safetensors.h"
#include "model/dflash_draft.h"
#include "model/model.h"

namespace kakeya::model::testing {

// Calls of operator new since the test program started (counting_new_test.cc).
std::size_t allocation_count();

inline std::string source_dir() { return KAKEYA_SOURCE_DIR; }
inline std::string golden_dir(const std::string& name) {
  return source_dir() + "/tests/golden/models/" + name;
}

// The embedded pair: in the repository, or beside it.
inline std::string tiny_dir() {
  if (std::filesystem::exists(source_dir() + "/models/tiny/target/config.json"))
    return source_dir() + "/models/tiny";
  const char* shared = std::getenv("KAKEYA_SHARED");
  return (shared != nullptr ? std::string(shared) : source_dir() + "/../shared") + "/models/tiny";
}

struct Matrix {
  std::size_t rows = 0, cols = 0;
  std::vector<float> values;
  std::span<const float> row(std::size_t i) const { return {values.data() + i * cols, cols}; }
};

// golden.safetensors: float matrices (vectors are one row) and int32 vectors.
class Golden {
 public:
  explicit Golden(const std::string& path) : file_(base::MappedFile::open(path)) {
    if (!file_.ok()) {
      ADD_FAILURE() << file_.error().message;
      return;
    }
    auto tensors = formats::parse_safetensors(path, file_->bytes());
    if (!tensors.ok()) {
      ADD_FAILURE() << tensors.error().message;
      return;
    }
    tensors_ = std::move(*tensors);
  }
  Matrix floats(const std::string& name) const {
    const formats::TensorView& view = tensors_.at(name);
    Matrix out;
    out.cols = view.shape.back();
    out.values.resize(view.bytes.size() / 4);
    out.rows = out.values.size() / out.cols;
    std::memcpy(out.values.data(), view.bytes.data(), view.bytes.size());
    return out;
  }
  std::vector<std::int32_t> ints(const std::string& name) const {
    const formats::TensorView& view = tensors_.at(name);
    std::vector<std::int32_t> out(view.bytes.size() / 4);
    std::memcpy(out.data(), view.bytes.data(), view.bytes.size());
    return out;
  }

 private:
  Result<base::MappedFile> file_;
  std::map<std::string, formats::TensorView> tensors_;
};

inline nlohmann::json read_json(const std::string& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

inline std::unique_ptr<const Model> load_model(const std::string& directory) {
  base::ThreadPool pool(1);
  auto model = Model::load(directory, pool);
  if (model.ok()) return std::move(*model);
  ADD_FAILURE() << model.error().message;
  return nullptr;
}

inline std::unique_ptr<const DFlashDraft> load_draft(const std::string& directory, const Model& target) {
  base::ThreadPool pool(1);
  auto draft = DFlashDraft::load(directory, target, pool);
  if (draft.ok()) return std::move(*draft);
  ADD_FAILURE() << draft.error().message;
  return nullptr;
}

inline std::unique_ptr<kv::Cache> make_cache(const kv::KvShape& shape, const std::string& channel,
                                             std::size_t max_tokens) {
  auto parsed = kv::parse_channel(channel);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  auto cache = kv::Cache::create(shape, {*parsed, 0, max_tokens});
  EXPECT_TRUE(cache.ok()) << cache.error().message;
  return std::move(*cache);
}

inline float max_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}

inline Token argmax(std::span<const float> x) {
  return static_cast<Token>(std::max_element(x.begin(), x.end()) - x.begin());
}

inline std::vector<Token> random_tokens(std::size_t n, std::size_t vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Token> out(n);
  for (Token& t : out) t = static_cast<Token>(random() % vocab);
  return out;
}

// The scalar variant, and the best one where it is another.
inline std::vector<const kernels::Table*> oracle_and_best() {
  std::vector<const kernels::Table*> out = {kernels::available().front()};
  if (&kernels::best() != out[0]) out.push_back(&kernels::best());
  return out;
}

struct Decoded {
  std::vector<Token> output;
  std::vector<int> acceptance_lengths;  // accepted + 1 a cycle
  std::vector<std::vector<Token>> draft_ids;
  std::vector<float> taps, draft_logits;  // in the order of use
};

struct DecodeOptions {
  std::size_t block = 0;
  std::size_t stop_at = 0;  // cycles go on while fewer tokens than this are out
  std::vector<Token> stop_ids = {};
  std::string channel = "f32";
};

// Greedy draft and verify, full blocks, as the reference's loop does it.
inline Decoded decode(const Compute& compute, const Model& model, const DFlashDraft& draft,
                      const std::vector<Token>& prompt, const DecodeOptions& options) {
  const std::size_t room = prompt.size() + options.stop_at + 2 * options.block;
  auto kv = make_cache(model.kv_shape(), options.channel, room);
  auto draft_kv = make_cache(draft.kv_shape(), options.channel, room);
  auto scratch = model.make_scratch(), draft_scratch = draft.make_scratch();
  ForwardResult target_result, draft_result;
  Decoded out;
  const auto stopped = [&] {
    return std::ranges::find(options.stop_ids, out.output.back()) != options.stop_ids.end();
  };
  const auto forward = [&](std::span<const Token> tokens, LogitRows rows) {
    const Status status =
        model.forward(compute, {tokens, kv.get(), rows, draft.tap_layers()}, *scratch, target_result);
    EXPECT_TRUE(status.ok()) << status.error().message;
  };
  const auto observe = [&](std::size_t rows) {
    kv->commit(kv->length());
    const Rows<float> taps = target_result.taps().sub(0, rows);
    out.taps.insert(out.taps.end(), taps.data, taps.data + rows * taps.cols);
    const Status status = draft.observe(compute, taps, *draft_kv, *draft_scratch);
    EXPECT_TRUE(status.ok()) << status.error().message;
  };

  forward(prompt, LogitRows::kLast);
  out.output.push_back(argmax(target_result.logits().row(0)));
  observe(prompt.size());
  while (out.output.size() < options.stop_at && !stopped()) {
    const Status status =
        draft.propose(compute, out.output.back(), options.block, *draft_kv, *draft_scratch, draft_result);
    EXPECT_TRUE(status.ok()) << status.error().message;
    std::vector<Token> block = {out.output.back()};
    for (std::size_t i = 0; i + 1 < options.block; ++i) block.push_back(argmax(draft_result.logits().row(i)));
    out.draft_ids.emplace_back(block.begin() + 1, block.end());
    out.draft_logits.insert(out.draft_logits.end(), draft_result.logits().data,
                            draft_result.logits().data + (options.block - 1) * draft_result.vocab);
    const std::size_t start = kv->length();
    forward(block, LogitRows::kAll);
    std::size_t accepted = 0;
    while (accepted + 1 < options.block &&
           block[accepted + 1] == argmax(target_result.logits().row(accepted)))
      ++accepted;
    out.acceptance_lengths.push_back(static_cast<int>(accepted + 1));
    for (std::size_t i = 0; i <= accepted && (i == 0 || !stopped()); ++i) {
      out.output.push_back(i < accepted ? block[i + 1] : argmax(target_result.logits().row(accepted)));
    }
    kv->rewind_to(start + accepted + 1);
    observe(accepted + 1);
  }
  return out;
}

}  // namespace kakeya::model::testing
