// Engines over pairs that lie in the repository, for tests of this folder. Included by *_test.cc only.
#pragma once
#include <gtest/gtest.h>
#include <kakeya/engine.h>
#include <kakeya/session.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "kv/channel.h"

namespace kakeya::engine::test {

inline std::string source_path(const std::string& relative) {
  return std::string(KAKEYA_SOURCE_DIR) + "/" + relative;
}

inline nlohmann::json read_json(const std::string& relative) {
  std::ifstream file(source_path(relative));
  EXPECT_TRUE(file.is_open()) << relative;
  return nlohmann::json::parse(file);
}

// A pair and prompts that belong to it.
struct PairFiles {
  std::string name, target, draft, golden;
  std::vector<std::vector<Token>> prompts(std::size_t count) const {
    std::vector<std::vector<Token>> out;
    const auto file = read_json(golden);
    for (const auto& entry : file["cases"]) {
      if (out.size() < count) out.push_back(entry["prompt_ids"].get<std::vector<Token>>());
    }
    return out;
  }
};

inline PairFiles tiny_pair() {
  return {"tiny", "models/tiny/target", "models/tiny/draft", "models/tiny/golden.json"};
}
inline PairFiles random_pair(const std::string& draft) {
  const std::string models = "tests/golden/models/";
  return {draft, models + "dflash-target", models + draft, models + draft + "/golden.json"};
}

template <class T>
T take(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().message;
    throw std::runtime_error(result.error().message);  // ends the test: gtest reports it
  }
  return std::move(result).value();
}

inline std::unique_ptr<Engine> open(const PairFiles& pair, int threads, const std::string& isa = "") {
  EngineOptions options;
  options.target = source_path(pair.target);
  options.draft = source_path(pair.draft);
  options.threads = threads;
  options.isa = isa;
  return take(Engine::open(options));
}

inline std::unique_ptr<Session> session(const Engine& engine, const std::string& kv,
                                        const std::string& draft_kv = "bf16", int boundary = 0) {
  SessionOptions options;
  options.kv = kv;
  options.draft_kv = draft_kv;
  options.boundary = boundary;
  return take(engine.new_session(options));
}

// Every name that the registry gives as an example.
inline std::vector<std::string> channels() {
  std::vector<std::string> names;
  for (const kv::ChannelFamily& family : kv::channel_families()) {
    names.insert(names.end(), family.examples.begin(), family.examples.end());
  }
  return names;
}

inline GenerateOptions greedy(int tokens, std::size_t block = 0, std::size_t width = 0) {
  GenerateOptions options;
  options.max_tokens = tokens;
  options.block_size = block;
  options.verify_width = width;
  options.speculation = Speculation::kFixed;  // lists of cycles depend on no clock
  return options;
}

inline GenerateOptions plain(GenerateOptions options) {
  options.use_draft = false;
  options.block_size = options.verify_width = 0;
  return options;
}

// tau from outside: what the target's own counter says against what the cycles say.
inline void expect_accounts(const Generation& out, std::size_t width) {
  ASSERT_EQ(out.target_forwards, out.cycles.size());
  std::size_t emitted = 0, uncut = 0;
  for (std::size_t i = 0; i < out.cycles.size(); ++i) {
    const Cycle& cycle = out.cycles[i];
    EXPECT_LE(cycle.proposed, width - 1);
    EXPECT_LE(cycle.accepted, cycle.proposed);
    if (i + 1 < out.cycles.size()) {
      EXPECT_EQ(cycle.emitted, cycle.accepted + 1);
    }
    emitted += cycle.emitted;
    uncut += cycle.length();
  }
  EXPECT_EQ(emitted + 1, out.ids.size());
  const std::size_t cut = out.cycles.empty() ? 0 : out.cycles.back().length() - out.cycles.back().emitted;
  EXPECT_EQ(uncut, out.ids.size() - 1 + cut);
}

}  // namespace kakeya::engine::test
