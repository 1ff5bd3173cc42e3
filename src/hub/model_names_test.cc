// Names, and the choice of files of a repository.
#include "hub/model_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/file_choice.h"

namespace kakeya::hub {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<HubFile> repository(const std::vector<std::string>& paths) {
  std::vector<HubFile> files;
  for (const std::string& path : paths) files.push_back({path, 1'500'000'000, "", ""});
  return files;
}

std::vector<std::string> chosen(const char* id, const std::vector<std::string>& paths,
                                const Patterns& patterns = {}) {
  const auto files = choose_files(*parse_model_id(id), repository(paths), patterns);
  if (!files.ok()) return {files.error().message};
  std::vector<std::string> out;
  for (const HubFile& file : *files) out.push_back(file.path);
  return out;
}

TEST(ModelId, IsTwoPlainNamesAndPerhapsAVariant) {
  const auto id = parse_model_id("Qwen/Qwen3-8B-GGUF:q4_k_m");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repository(), "Qwen/Qwen3-8B-GGUF");
  EXPECT_EQ(id->variant, "Q4_K_M");
  for (const char* text : {"", "a", "/a", "a/", "a/b/c", "../b", "a/..", "a/.b", "a/b..c", "a b/c",
                           "a/b:", "a/b:c/d", "a/b:../x", "a/b:x:y", "~/x", "./x", "a/b\n"}) {
    EXPECT_FALSE(parse_model_id(text)) << text;
  }
}

TEST(FileChoice, OfSafetensorsIsWeightsAndJsonAtTheTop) {
  EXPECT_THAT(
      chosen("o/r", {".gitattributes", "README.md", "config.json", "model-00001-of-00002.safetensors",
                     "model-00002-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                     "tokenizer.json", "original/consolidated.safetensors", "original/params.json",
                     "consolidated.safetensors", "r-Q4_0.gguf", "chat_template.jinja"}),
      ElementsAre("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                  "model.safetensors.index.json", "tokenizer.json", "chat_template.jinja"));
}

TEST(FileChoice, OfOneGgufFileIsThatFile) {
  EXPECT_THAT(chosen("o/r", {"README.md", "r-Q4_0.gguf", "mmproj-r-F16.gguf"}), ElementsAre("r-Q4_0.gguf"));
}

TEST(FileChoice, OfSeveralGgufFilesNeedsTheQuantisation) {
  const std::vector<std::string> paths = {"r-Q4_0.gguf", "r-Q4_K_M.gguf", "r-UD-Q4_K_XL.gguf",
                                          "sub/r.Q8_0.gguf"};
  EXPECT_THAT(chosen("o/r", paths).front(),
              AllOf(HasSubstr("Q4_0 (1.50 GB), Q4_K_M"), HasSubstr("for example o/r:Q4_0")));
  EXPECT_THAT(chosen("o/r:q4_k_m", paths), ElementsAre("r-Q4_K_M.gguf"));
  EXPECT_THAT(chosen("o/r:Q8_0", paths), ElementsAre("sub/r.Q8_0.gguf"));
  EXPECT_THAT(chosen("o/r:Q4_K", paths).front(),
              AllOf(HasSubstr("no GGUF file of Q4_K"), HasSubstr("Q4_K_M")));
}

TEST(FileChoice, RefusesWhatCannotBeRun) {
  EXPECT_THAT(chosen("o/r", {"pytorch_model.bin"}).front(), HasSubstr("pytorch_model.bin"));
  EXPECT_THAT(chosen("o/r:Q4_0", {"r-Q4_0-00001-of-00003.gguf", "r-Q4_0-00003-of-00003.gguf"}).front(),
              AllOf(HasSubstr("found 2 of 3 parts"), HasSubstr("r-Q4_0-00002-of-00003.gguf")));
}

TEST(FileChoice, OfASplitModelIsAllOfItsParts) {
  const std::vector<std::string> paths = {"Q8_0/r-Q8_0-00002-of-00002.gguf", "r-Q4_0.gguf",
                                          "Q8_0/r-Q8_0-00001-of-00002.gguf", "README.md"};
  const auto both = ElementsAre("Q8_0/r-Q8_0-00001-of-00002.gguf", "Q8_0/r-Q8_0-00002-of-00002.gguf");
  EXPECT_THAT(chosen("o/r:q8_0", paths), both);
  EXPECT_THAT(chosen("o/r", {paths[0], paths[2]}), both);
  EXPECT_THAT(chosen("o/r", paths, {{"Q8_0/r-Q8_0-00001-of-00002.gguf"}, {}}), both);
  EXPECT_THAT(chosen("o/r", paths, {{"Q8_0/*"}, {}}), testing::UnorderedElementsAre(paths[0], paths[2]));
  EXPECT_THAT(chosen("o/r", paths, {{"*.gguf"}, {"*-00001-of-*"}}).front(),
              AllOf(HasSubstr("leaves 1 of the 2 parts"), HasSubstr("all or none")));
  EXPECT_THAT(chosen("o/r", paths).front(),
              AllOf(HasSubstr("2 GGUF models"), HasSubstr("Q8_0 (3.00 GB in 2 parts)")));
  EXPECT_THAT(chosen("o/r", {paths[0]}, {{"Q8_0/*"}, {}}).front(), HasSubstr("found 1 of 2 parts"));
}

TEST(FileChoice, AQuantisationIsTheEndOfTheNameInAnyCase) {
  const std::vector<std::string> paths = {"r-Q4_K_XL.gguf", "r-UD-Q4_K_XL.gguf", "r.i1-IQ4_XS.gguf"};
  EXPECT_THAT(chosen("o/r:ud-q4_k_xl", paths), ElementsAre("r-UD-Q4_K_XL.gguf"));
  EXPECT_THAT(chosen("o/r:iq4_xs", paths), ElementsAre("r.i1-IQ4_XS.gguf"));
  EXPECT_THAT(chosen("o/r:Q4_K_XL", paths).front(), HasSubstr("name it with --include"));
  EXPECT_THAT(chosen("o/r:K_XL", paths).front(), HasSubstr("no GGUF file of K_XL"));
}

TEST(FileChoice, FollowsPatterns) {
  const std::vector<std::string> paths = {"config.json", "model.safetensors", "sub/a.json", "vocab.json"};
  EXPECT_THAT(chosen("o/r", paths, {{"*.json"}, {"vocab*"}}), ElementsAre("config.json", "sub/a.json"));
  EXPECT_THAT(chosen("o/r", paths, {{}, {"vocab.json"}}), ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(chosen("o/r", paths, {{"*.bin"}, {}}).front(), HasSubstr("there is config.json"));
}

TEST(ModelNames, ShortOnesStandForHubIds) {
  EXPECT_EQ(id_of_name("Qwen3-8B")->text(), "Qwen/Qwen3-8B");
  EXPECT_EQ(id_of_name("org/any:q4_0")->text(), "org/any:Q4_0");
  EXPECT_FALSE(id_of_name("nonsense"));
  for (const Alias& alias : aliases()) EXPECT_TRUE(parse_model_id(alias.id)) << alias.name;
}

TEST(ModelNames, ThatAreNotPulledNameTheCommandThatPullsThem) {
  const Store store("/nonexistent");
  for (const char* name : {"qwen3-8b", "Qwen/Qwen3-8B"}) {
    const auto model = resolve_model(name, store);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(model.error().message, HasSubstr("kakeya-llm pull Qwen/Qwen3-8B"));
  }
  for (const char* name : {"tiny", "random:qwen3-8b:q4_0", "/no/such/place", "/tmp", "."}) {
    EXPECT_EQ(resolve_model(name, store)->path, name);
  }
}

TEST(SuggestedDraft, IsKnownByTheTargetsNameHoweverItIsStored) {
  for (const char* target :
       {"Qwen/Qwen3-8B", "Qwen/Qwen3-8B-GGUF", "/models/Qwen3-8B/", "qwen3-8b-q4_k_m.gguf",
        "unsloth/Qwen3-8B-GGUF:Q4_0", "mlx-community/Qwen3-8B-4bit"}) {
    ASSERT_TRUE(suggested_draft(target)) << target;
    EXPECT_EQ(suggested_draft(target)->text(), "z-lab/Qwen3-8B-DFlash-b16");
  }
  EXPECT_EQ(suggested_draft("meta-llama/Llama-3.1-8B-Instruct")->text(),
            "z-lab/LLaMA3.1-8B-Instruct-DFlash-UltraChat");
  for (const char* target : {"Qwen/Qwen3-8B-Base", "Qwen/Qwen3-14B", "z-lab/Qwen3-8B-DFlash-b16", "tiny", "",
                             "meta-llama/Llama-3.1-8B"}) {
    EXPECT_FALSE(suggested_draft(target)) << target;
  }
}

}  // namespace
}  // namespace kakeya::hub
