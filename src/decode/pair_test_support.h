// A target and a draft read from the repository, with caches, for tests of decode. Included by *_test.cc
// only.
#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "decode/dflash_drafter.h"
#include "decode/speculative.h"
#include "model/scratch.h"

namespace kakeya::decode::test {

// Passes every call on and counts the passes: the count from outside.
class CountingModel final : public model::Model {
 public:
  explicit CountingModel(const model::Model& inner) : inner_(inner) {}
  const formats::ModelConfig& config() const override { return inner_.config(); }
  const formats::TensorStore& tensors() const override { return inner_.tensors(); }
  std::string dtype() const override { return inner_.dtype(); }
  std::size_t parameters() const override { return inner_.parameters(); }
  std::size_t weight_bytes() const override { return inner_.weight_bytes(); }
  bool quantised() const override { return inner_.quantised(); }
  kv::KvShape kv_shape() const override { return inner_.kv_shape(); }
  const model::Weight& embedding() const override { return inner_.embedding(); }
  const model::Weight& head() const override { return inner_.head(); }
  model::ScratchPtr make_scratch() const override { return inner_.make_scratch(); }
  void normalise(const kernels::Compute& compute, Rows<float> states) const override {
    inner_.normalise(compute, states);
  }
  Status forward(const kernels::Compute& compute, std::span<const model::ForwardRequest> requests,
                 model::Scratch& scratch, std::span<model::ForwardResult* const> results) const override {
    ++forwards;
    return inner_.forward(compute, requests, scratch, results);
  }
  mutable std::uint64_t forwards = 0;

 private:
  const model::Model& inner_;
};

inline std::string source_path(const std::string& relative) {
  return std::string(KAKEYA_SOURCE_DIR) + "/" + relative;
}

inline nlohmann::json read_json(const std::string& relative) {
  std::ifstream file(source_path(relative));
  EXPECT_TRUE(file.is_open()) << relative;
  return nlohmann::json::parse(file);
}

// Models of a pair.
struct Pair {
  std::unique_ptr<const model::Model> loaded;
  std::unique_ptr<CountingModel> target;
  std::unique_ptr<const model::DFlashDraft> draft;

  Pair(const std::string& target_dir, const std::string& draft_dir) {
    base::ThreadPool loading(1);
    auto model = model::Model::load(source_path(target_dir), loading);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    loaded = std::move(model).value();
    target = std::make_unique<CountingModel>(*loaded);
    auto drafted = model::DFlashDraft::load(source_path(draft_dir), *target, loading);
    EXPECT_TRUE(drafted.ok()) << (drafted.ok() ? "" : drafted.error().message);
    draft = std::move(drafted).value();
  }
};

inline std::unique_ptr<kv::Cache> make_cache(const kv::KvShape& shape, const std::string& channel,
                                             std::size_t tokens) {
  kv::CacheOptions options;
  options.channel = kv::parse_channel(channel).value();
  options.max_tokens = tokens;
  auto cache = kv::Cache::create(shape, options);
  EXPECT_TRUE(cache.ok()) << (cache.ok() ? "" : cache.error().message);
  return std::move(cache).value();
}

// One sequence over a pair.
struct Sequence {
  base::ThreadPool pool;
  std::unique_ptr<kv::Cache> kv, draft_kv;
  model::ScratchPtr scratch, draft_scratch;
  TargetRun target;
  DFlashDrafter drafter;

  Sequence(const Pair& pair, const std::string& channel, const std::string& draft_channel, int threads = 1,
           std::size_t tokens = 512)
      : pool(threads),
        kv(make_cache(pair.target->kv_shape(), channel, tokens)),
        draft_kv(make_cache(pair.draft->kv_shape(), draft_channel, tokens)),
        scratch(pair.target->make_scratch()),
        draft_scratch(pair.draft->make_scratch()),
        target(*pair.target, *kv, *scratch, {&kernels::best(), &pool}),
        drafter(*pair.draft, *draft_kv, *draft_scratch, {&kernels::best(), &pool}) {}
};

// What one run gave.
struct Output {
  std::vector<Token> ids;
  std::vector<Cycle> cycles;
  std::uint64_t target_forwards = 0;
  FinishReason finish = FinishReason::kCancelled;
};

inline Output decode_all(TargetRun& target, Drafter* drafter, const DecodePlan& plan,
                         std::span<const Token> prompt) {
  SpeculativeDecoder decoder(target, drafter, plan);
  Output out;
  const auto first = decoder.start(prompt);
  EXPECT_TRUE(first.ok()) << (first.ok() ? "" : first.error().message);
  out.ids.push_back(*first);
  while (!decoder.finished()) {
    const auto ids = decoder.step();
    EXPECT_TRUE(ids.ok()) << (ids.ok() ? "" : ids.error().message);
    out.ids.insert(out.ids.end(), ids->begin(), ids->end());
  }
  EXPECT_TRUE(decoder.settle().ok());
  out.cycles = decoder.cycles();
  out.target_forwards = decoder.target_forwards();
  out.finish = *decoder.finished();
  return out;
}

}  // namespace kakeya::decode::test
