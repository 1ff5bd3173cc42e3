// For tests of pull and of single downloads: a directory, a hub, patience in milliseconds.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "hub/fake_hub.h"
#include "hub/pull.h"

namespace kakeya::hub {

class PullTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "kakeya-pull-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    hub_.files["config.json"] = {"{\"torch_dtype\": \"bfloat16\"}"};
    hub_.files["model.safetensors"] = {weights(300'000), true};
    hub_.files["README.md"] = {"read me"};
    access_.endpoint = hub_.address();
    access_.retry.backoff_ms = 5;
    request_.id = *parse_model_id("org/model");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  static std::string weights(std::size_t n) {
    std::string out(n, '\0');
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>((i * 7919) >> 5);
    return out;
  }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  Store store() const { return Store((dir_ / "store").string()); }
  Result<PullResult> run() { return pull(store(), access_, request_, {}); }
  // The message of a pull that must fail.
  std::string failure() {
    const auto result = run();
    EXPECT_FALSE(result.ok());
    return result.ok() ? "" : result.error().message;
  }
  bool installed() const { return store().find(request_.id).ok(); }
  std::filesystem::path model_dir() const { return dir_ / "store/models/org/model"; }

  std::filesystem::path dir_;
  FakeHub hub_;
  HubAccess access_;
  PullRequest request_;
};

}  // namespace kakeya::hub
