// What a user may write for a model, and what is said when it is something else.
#include "engine/model_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace kakeya::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelPlaces : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_ / "pair" / "draft"); }
  void TearDown() override { fs::remove_all(root_); }
  std::string write(const std::string& name) {
    std::ofstream(root_ / name) << "GGUF";
    return root_ / name;
  }
  static std::string error(const std::string& name, Role role = Role::kTarget) {
    const auto place = find_model(name, role, "");
    EXPECT_FALSE(place.ok()) << name;
    return place.ok() ? "" : place.error().message;
  }
  fs::path root_ = fs::temp_directory_path() / ("kakeya_places_" + std::to_string(::getpid()));
};

TEST_F(ModelPlaces, AGgufFileIsAModelCalledByItsNameWithoutTheEnding) {
  const std::string path = write("Qwen3-8B.Q4_K_M.gguf");
  const auto place = find_model(path, Role::kTarget, "");
  ASSERT_TRUE(place.ok()) << place.error().message;
  EXPECT_EQ(place->id, "Qwen3-8B.Q4_K_M");
  EXPECT_EQ(place->directory, path);
}

TEST_F(ModelPlaces, ADirectoryWithOneGgufFileStandsForIt) {
  const std::string path = write("pair/draft/d.gguf");
  for (const fs::path& directory : {root_ / "pair", root_ / "pair" / "draft"}) {
    const auto place = find_model(directory, Role::kDraft, "");
    ASSERT_TRUE(place.ok()) << place.error().message;
    EXPECT_EQ(place->id, "d");
    EXPECT_EQ(place->directory, path);
  }
  write("pair/draft/e.gguf");
  EXPECT_THAT(error(root_ / "pair" / "draft"), HasSubstr("2 GGUF models (d.gguf, e.gguf"));
  write("pair/draft/config.json");
  const auto place = find_model(root_ / "pair" / "draft", Role::kDraft, "");
  ASSERT_TRUE(place.ok()) << place.error().message;
  EXPECT_EQ(place->directory, root_ / "pair" / "draft");
}

TEST_F(ModelPlaces, PartsOfASplitModelAreOneModelCalledByWhatTheyShare) {
  const std::string first = write("pair/draft/m-Q4_K_M-00001-of-00002.gguf");
  const std::string second = write("pair/draft/m-Q4_K_M-00002-of-00002.gguf");
  for (const std::string& named : {first, second, (root_ / "pair").string()}) {
    const auto place = find_model(named, Role::kDraft, "");
    ASSERT_TRUE(place.ok()) << place.error().message;
    EXPECT_EQ(place->id, "m-Q4_K_M");
    EXPECT_EQ(place->directory, first);
  }
  fs::remove(first);
  EXPECT_EQ(find_model(root_ / "pair", Role::kDraft, "")->directory, second);
}

TEST_F(ModelPlaces, OtherThingsAreNamed) {
  EXPECT_THAT(error(root_ / "none"), HasSubstr("does not exist; expected a GGUF file"));
  EXPECT_THAT(error(root_ / "pair"), HasSubstr("no config.json, no GGUF file"));
  std::ofstream(root_ / "text") << "text";
  EXPECT_THAT(error(root_ / "text"), HasSubstr("is a file, expected a GGUF file"));
}

}  // namespace
}  // namespace kakeya::engine
