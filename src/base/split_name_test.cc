// Names of the parts of split files. Expected names: llama.cpp's llama_split_path, "%s-%05d-of-%05d.gguf".
#include "base/split_name.h"

#include <gtest/gtest.h>

namespace kakeya::base {
namespace {

TEST(SplitName, IsReadAndWritten) {
  const auto name = parse_split_name("/models/ggml-model-q4_0-00002-of-00004.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "/models/ggml-model-q4_0");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 4u);
  EXPECT_EQ(name->path_of(4), "/models/ggml-model-q4_0-00004-of-00004.gguf");
  EXPECT_EQ(parse_split_name("a-00001-of-65535.gguf")->count, 65535u);
}

TEST(SplitName, OtherNamesAreNone) {
  for (const char* path : {"", "a.gguf", "-00001-of-00002.gguf", "d/-00001-of-00002.gguf",
                           "a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-0001-of-0002.gguf",
                           "a-00001-of-00002.safetensors", "a-00001_of_00002.gguf", "a-0000x-of-00002.gguf",
                           "a00001-of-00002.gguf", "a-00001-of-00002.gguf.part", "a-00000-of-00000.gguf"}) {
    EXPECT_FALSE(parse_split_name(path)) << path;
  }
}

TEST(FileGroups, PartsOfOneModelAreOneGroup) {
  const auto groups = group_split_files({"b-00002-of-00002.gguf", "a.gguf", "b-00001-of-00002.gguf",
                                         "b-00001-of-00003.gguf", "c-00002-of-00002.gguf", "a.gguf"});
  ASSERT_EQ(groups.size(), 4u);
  EXPECT_EQ(groups[0].paths, (std::vector<std::string>{"b-00001-of-00002.gguf", "b-00002-of-00002.gguf"}));
  EXPECT_TRUE(groups[0].complete());
  EXPECT_EQ(groups[1].paths, (std::vector<std::string>{"a.gguf"}));
  EXPECT_TRUE(groups[1].complete());
  EXPECT_FALSE(groups[2].complete());
  EXPECT_EQ(groups[3].paths, (std::vector<std::string>{"c-00002-of-00002.gguf"}));
  EXPECT_FALSE(groups[3].complete());
}

}  // namespace
}  // namespace kakeya::base
