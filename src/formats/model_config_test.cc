// Configuration files as published and as an attacker would write them.
#include "formats/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/dflash_config.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The values of Qwen3-8B's config.json.
json qwen3_8b() {
  return json::parse(R"({"architectures":["Qwen3ForCausalLM"],"attention_bias":false,"attention_dropout":0.0,
    "bos_token_id":151643,"eos_token_id":151645,"head_dim":128,"hidden_act":"silu","hidden_size":4096,
    "intermediate_size":12288,"max_position_embeddings":40960,"max_window_layers":36,"model_type":"qwen3",
    "num_attention_heads":32,"num_hidden_layers":36,"num_key_value_heads":8,"rms_norm_eps":1e-06,
    "rope_scaling":null,"rope_theta":1000000,"sliding_window":null,"tie_word_embeddings":false,
    "torch_dtype":"bfloat16","use_sliding_window":false,"vocab_size":151936})");
}

// The values of Llama-3.1-8B-Instruct's config.json.
json llama31_8b() {
  return json::parse(R"({"architectures":["LlamaForCausalLM"],"attention_bias":false,"bos_token_id":128000,
    "eos_token_id":[128001,128008,128009],"hidden_act":"silu","hidden_size":4096,"intermediate_size":14336,
    "max_position_embeddings":131072,"mlp_bias":false,"model_type":"llama","num_attention_heads":32,
    "num_hidden_layers":32,"num_key_value_heads":8,"pretraining_tp":1,"rms_norm_eps":1e-05,
    "rope_scaling":{"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
    "original_max_position_embeddings":8192,"rope_type":"llama3"},"rope_theta":500000.0,
    "tie_word_embeddings":false,"vocab_size":128256})");
}

// The values of the 8B draft of z-lab.
json dflash_8b() {
  return json::parse(R"({"architectures":["DFlashDraftModel"],"model_type":"qwen3","block_size":16,
    "num_target_layers":36,"dflash_config":{"target_layer_ids":[1,9,17,25,33],"mask_token_id":151669},
    "num_hidden_layers":5,"hidden_size":4096,"intermediate_size":12288,"num_attention_heads":32,
    "num_key_value_heads":8,"head_dim":128,"rms_norm_eps":1e-6,"rope_theta":1000000,"rope_scaling":null,
    "max_position_embeddings":40960,"layer_types":["full_attention","full_attention","full_attention",
    "full_attention","full_attention"],"sliding_window":null,"use_sliding_window":false,"vocab_size":151936,
    "attention_bias":false,"hidden_act":"silu"})");
}

ModelConfig accept(const json& config) {
  const auto parsed = parse_model_config("config.json", config.dump());
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed.ok() ? parsed.value() : ModelConfig{};
}

Error refuse(const std::string& text) {
  const auto parsed = parse_model_config("dir/config.json", text);
  EXPECT_FALSE(parsed.ok()) << text;
  return parsed.ok() ? Error{ErrorCode::kIo, ""} : parsed.error();
}

TEST(ModelConfig, ReadsQwen3AsPublished) {
  const ModelConfig c = accept(qwen3_8b());
  EXPECT_EQ(c.architecture, Architecture::kQwen3);
  EXPECT_EQ(c.vocab_size, 151936u);
  EXPECT_EQ(c.hidden_size, 4096u);
  EXPECT_EQ(c.intermediate_size, 12288u);
  EXPECT_EQ(c.layers, 36u);
  EXPECT_EQ(c.heads, 32u);
  EXPECT_EQ(c.kv_heads, 8u);
  EXPECT_EQ(c.head_dim, 128u);
  EXPECT_FLOAT_EQ(c.rms_norm_eps, 1e-6f);
  EXPECT_EQ(c.rope_theta, 1e6);
  EXPECT_FALSE(c.rope_scaling.llama3);
  EXPECT_EQ(c.max_position_embeddings, 40960u);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_EQ(c.sliding, std::vector<bool>(36, false));
  EXPECT_FALSE(c.dflash.has_value());
}

TEST(ModelConfig, ReadsLlama31WithItsRopeScaling) {
  const ModelConfig c = accept(llama31_8b());
  EXPECT_EQ(c.architecture, Architecture::kLlama);
  EXPECT_EQ(c.head_dim, 128u);  // hidden / heads
  EXPECT_TRUE(c.rope_scaling.llama3);
  EXPECT_EQ(c.rope_scaling.factor, 8);
  EXPECT_EQ(c.rope_scaling.low_freq_factor, 1);
  EXPECT_EQ(c.rope_scaling.high_freq_factor, 4);
  EXPECT_EQ(c.rope_scaling.original_max_position, 8192);
  EXPECT_EQ(c.rope_theta, 500000);
}

TEST(ModelConfig, ReadsRopeParametersAsTransformers5WritesThem) {
  json config = llama31_8b();
  json rope = config["rope_scaling"];
  rope["rope_theta"] = 250000.0;
  config.erase("rope_scaling");
  config.erase("rope_theta");
  config["rope_parameters"] = rope;
  const ModelConfig c = accept(config);
  EXPECT_TRUE(c.rope_scaling.llama3);
  EXPECT_EQ(c.rope_theta, 250000);
  config["rope_parameters"] = {{"rope_theta", 5e6}, {"rope_type", "default"}};
  const ModelConfig plain = accept(config);
  EXPECT_FALSE(plain.rope_scaling.llama3);
  EXPECT_EQ(plain.rope_theta, 5e6);
}

TEST(ModelConfig, ReadsADraftAsPublished) {
  const ModelConfig c = accept(dflash_8b());
  EXPECT_EQ(c.architecture, Architecture::kDFlashDraft);
  ASSERT_TRUE(c.dflash.has_value());
  EXPECT_EQ(c.dflash->block_size, 16u);
  EXPECT_EQ(c.dflash->mask_token_id, 151669);
  EXPECT_EQ(c.dflash->num_target_layers, 36u);
  EXPECT_THAT(c.dflash->target_layer_ids, ElementsAre(1, 9, 17, 25, 33));
}

TEST(ModelConfig, DraftKeysMayStandAtEitherPlace) {
  json config = dflash_8b();
  config["target_layer_ids"] = {2, 4};
  config["mask_token_id"] = 7;
  config["dflash_config"] = {{"block_size", 8}, {"num_target_layers", 6}};
  config.erase("block_size");
  config.erase("num_target_layers");
  const ModelConfig c = accept(config);
  EXPECT_EQ(c.dflash->block_size, 8u);
  EXPECT_EQ(c.dflash->mask_token_id, 7);
  EXPECT_EQ(c.dflash->num_target_layers, 6u);
  EXPECT_THAT(c.dflash->target_layer_ids, ElementsAre(2, 4));
  config["dflash_config"]["mask_token_id"] = 8;
  EXPECT_THAT(refuse(config.dump()).message, HasSubstr("mask_token_id"));
}

// Check values of the reference's own table.
TEST(ModelConfig, DefaultLayerIdsRoundHalfToEven) {
  EXPECT_THAT(default_target_layer_ids(28, 5), ElementsAre(1, 7, 13, 19, 25));
  EXPECT_THAT(default_target_layer_ids(32, 5), ElementsAre(1, 8, 15, 22, 29));
  EXPECT_THAT(default_target_layer_ids(36, 5), ElementsAre(1, 9, 17, 25, 33));
  EXPECT_THAT(default_target_layer_ids(48, 5), ElementsAre(1, 12, 23, 34, 45));
  EXPECT_THAT(default_target_layer_ids(64, 5), ElementsAre(1, 16, 31, 46, 61));
  EXPECT_THAT(default_target_layer_ids(40, 8), ElementsAre(1, 6, 11, 16, 22, 27, 32, 37));
  EXPECT_THAT(default_target_layer_ids(48, 8), ElementsAre(1, 7, 14, 20, 26, 32, 39, 45));
  EXPECT_THAT(default_target_layer_ids(36, 1), ElementsAre(18));
  EXPECT_TRUE(default_target_layer_ids(6, 5).empty());
}

TEST(ModelConfig, DerivesLayerIdsOnlyFromNumTargetLayers) {
  json config = dflash_8b();
  config["dflash_config"].erase("target_layer_ids");
  EXPECT_THAT(accept(config).dflash->target_layer_ids, ElementsAre(1, 9, 17, 25, 33));
  config.erase("num_target_layers");
  EXPECT_THAT(refuse(config.dump()).message, HasSubstr("target_layer_ids"));
  config["num_target_layers"] = 3;
  EXPECT_THAT(refuse(config.dump()).message, HasSubstr("target_layer_ids"));
}

TEST(ModelConfig, SlidingLayersNeedAWindow) {
  json config = dflash_8b();
  config["layer_types"][0] = "sliding_attention";
  EXPECT_THAT(refuse(config.dump()).message, HasSubstr("sliding_window"));
  config["sliding_window"] = 2048;
  const ModelConfig c = accept(config);
  EXPECT_EQ(c.sliding, (std::vector<bool>{true, false, false, false, false}));
  EXPECT_EQ(c.sliding_window, 2048u);
  config["layer_types"][1] = "chunked_attention";
  const Error error = refuse(config.dump());
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("chunked_attention"));
}

TEST(ModelConfig, ADraftWithoutLayerTypesIsFullEverywhere) {
  json config = dflash_8b();
  config.erase("layer_types");
  config["use_sliding_window"] = true;
  config["sliding_window"] = 4096;
  EXPECT_EQ(accept(config).sliding, std::vector<bool>(5, false));
}

TEST(ModelConfig, OldQwen3FilesSlideFromMaxWindowLayersOn) {
  json config = qwen3_8b();
  config["use_sliding_window"] = true;
  config["sliding_window"] = 4096;
  config["max_window_layers"] = 34;
  const ModelConfig c = accept(config);
  EXPECT_FALSE(c.sliding[33]);
  EXPECT_TRUE(c.sliding[34]);
  EXPECT_EQ(c.sliding_window, 4096u);
}

TEST(ModelConfig, RefusesOtherArchitecturesByName) {
  for (const char* name :
       {"DFlash2DraftModel", "Qwen2ForCausalLM", "Qwen3MoeForCausalLM", "Gemma3ForCausalLM"}) {
    json config = qwen3_8b();
    config["architectures"] = {name};
    const Error error = refuse(config.dump());
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr(name));
    EXPECT_THAT(error.message, HasSubstr("Qwen3ForCausalLM, LlamaForCausalLM or DFlashDraftModel"));
    EXPECT_THAT(error.message, HasSubstr("dir/config.json"));
  }
}

// One line per change: key, value (JSON text), a piece of the message.
struct BadValue {
  const char* key;
  const char* value;
  const char* expected;
};
void PrintTo(const BadValue& bad, std::ostream* os) { *os << bad.key << " = " << bad.value; }

class ModelConfigBadValue : public ::testing::TestWithParam<BadValue> {};

TEST_P(ModelConfigBadValue, IsRefusedNamingTheKey) {
  json config = qwen3_8b();
  config[GetParam().key] = json::parse(GetParam().value);
  const Error error = refuse(config.dump());
  EXPECT_THAT(error.message, HasSubstr("dir/config.json"));
  EXPECT_THAT(error.message, HasSubstr(std::string("\"") + GetParam().key));
  EXPECT_THAT(error.message, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    EveryRange, ModelConfigBadValue,
    ::testing::Values(
        BadValue{"num_attention_heads", "0", "from 1"}, BadValue{"num_attention_heads", "-32", "found -32"},
        BadValue{"num_attention_heads", "32.5", "found 32.5"},
        BadValue{"num_attention_heads", "\"32\"", "\"32\""},
        BadValue{"num_attention_heads", "18446744073709551615", "to 1024"},
        BadValue{"num_attention_heads", "1e300", "to 1024"},
        BadValue{"num_attention_heads", "null", "found nothing"},
        BadValue{"num_key_value_heads", "0", "from 1"}, BadValue{"num_key_value_heads", "5", "divisor"},
        BadValue{"num_key_value_heads", "64", "divisor"}, BadValue{"hidden_size", "0", "from 1"},
        BadValue{"hidden_size", "4294967296", "to 131072"}, BadValue{"hidden_size", "[4096]", "a list of 1"},
        BadValue{"intermediate_size", "0", "from 1"}, BadValue{"num_hidden_layers", "0", "from 1"},
        BadValue{"num_hidden_layers", "1000000000", "to 1024"}, BadValue{"vocab_size", "0", "from 1"},
        BadValue{"vocab_size", "100000000000", "to 16777216"}, BadValue{"head_dim", "0", "from 2"},
        BadValue{"head_dim", "127", "even"}, BadValue{"head_dim", "100000", "to 1024"},
        BadValue{"max_position_embeddings", "0", "from 1"}, BadValue{"rms_norm_eps", "0", "from"},
        BadValue{"rms_norm_eps", "-1e-6", "from"}, BadValue{"rms_norm_eps", "\"nan\"", "nan"},
        BadValue{"rope_theta", "0", "from 1"}, BadValue{"rope_theta", "-5", "from 1"},
        BadValue{"tie_word_embeddings", "1", "true or false"}, BadValue{"attention_bias", "true", "biases"},
        BadValue{"hidden_act", "\"gelu\"", "silu"}, BadValue{"rope_scaling", "7", "an object"},
        BadValue{"rope_scaling", R"({"rope_type":"yarn","factor":4.0})", "yarn"},
        BadValue{"rope_scaling", R"({"type":"dynamic","factor":4.0})", "dynamic"},
        BadValue{"rope_scaling", R"({"factor":4.0})", "rope_type"},
        BadValue{"rope_scaling", R"({"rope_type":"llama3"})", "factor"},
        BadValue{"rope_scaling",
                 R"({"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,
                     "original_max_position_embeddings":8192})",
                 "above low_freq_factor"},
        BadValue{"partial_rotary_factor", "0.5", "1"}, BadValue{"architectures", "[]", "a list of one name"},
        BadValue{"architectures", "[\"Qwen3ForCausalLM\",\"X\"]", "a list of one name"},
        BadValue{"architectures", "null", "found nothing"},
        BadValue{"layer_types", "[]", "a list of 36 names"},
        BadValue{"layer_types", "{}", "a list of 36 names"},
        BadValue{"quantization_config", R"({"quant_method":"awq"})", "bf16"},
        BadValue{"use_sliding_window", "\"no\"", "true or false"}));

class DraftBadValue : public ::testing::TestWithParam<BadValue> {};

TEST_P(DraftBadValue, IsRefusedNamingTheKey) {
  json config = dflash_8b();
  config.erase("dflash_config");
  config["target_layer_ids"] = {1, 9, 17, 25, 33};
  config["mask_token_id"] = 151669;
  accept(config);
  config[GetParam().key] = json::parse(GetParam().value);
  const Error error = refuse(config.dump());
  EXPECT_THAT(error.message, HasSubstr(std::string("\"") + GetParam().key));
  EXPECT_THAT(error.message, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    EveryRange, DraftBadValue,
    ::testing::Values(
        BadValue{"block_size", "0", "from 2"}, BadValue{"block_size", "null", "dflash_config"},
        BadValue{"block_size", "1000000", "to 1024"}, BadValue{"mask_token_id", "null", "dflash_config"},
        BadValue{"mask_token_id", "151936", "to 151935"}, BadValue{"mask_token_id", "-1", "from 0"},
        BadValue{"num_target_layers", "0", "from 1"}, BadValue{"target_layer_ids", "[]", "a list of 1"},
        BadValue{"target_layer_ids", "[1,36]", "to 35"}, BadValue{"target_layer_ids", "[1,1]", "distinct"},
        BadValue{"target_layer_ids", "[1.5]", "from 0"}, BadValue{"target_layer_ids", "\"1\"", "a list of 1"},
        BadValue{"dflash_config", "3", "an object"}, BadValue{"input_embedding_scale", "2.0", "1 or nothing"},
        BadValue{"final_logit_softcapping", "30.0", "nothing"}, BadValue{"is_causal", "true", "nothing"}));

TEST(ModelConfig, RefusesTextThatIsNoObject) {
  for (const char* text : {"", "[]", "3", "nul", "{", "{\"a\":1,}", "{\"a\":NaN}", "\xff\xfe"}) {
    EXPECT_THAT(refuse(text).message, HasSubstr("dir/config.json"));
  }
}

TEST(ModelConfig, RefusesDeepNestingWithoutRecursion) {
  const std::string deep = "{\"a\":" + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  EXPECT_THAT(refuse(deep).message, HasSubstr("nests deeper"));
}

class GenerationConfigFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 ("kakeya_generation_" + std::to_string(::getpid()) + "_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const char* name, const std::string& text) { std::ofstream(directory_ / name) << text; }
  std::filesystem::path directory_;
};

TEST_F(GenerationConfigFiles, TakesEosAsANumberOrAList) {
  write("config.json", R"({"eos_token_id": 9})");
  write("generation_config.json", R"({"eos_token_id": [151645, 151643], "temperature": 0.6, "top_k": 20,
                                      "top_p": 0.95, "do_sample": true})");
  auto config = load_generation_config(directory_);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_THAT(config->eos_token_ids, ElementsAre(151645, 151643));
  EXPECT_EQ(config->sampling.temperature, 0.6f);
  EXPECT_EQ(config->sampling.top_p, 0.95f);
  EXPECT_EQ(config->sampling.top_k, 20);
  EXPECT_FALSE(config->sampling.min_p.has_value());
  write("generation_config.json", R"({"eos_token_id": 5})");
  config = load_generation_config(directory_);
  ASSERT_TRUE(config.ok());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(5));
}

TEST_F(GenerationConfigFiles, FallsBackToTheModelsEos) {
  write("config.json", R"({"eos_token_id": [9, 10]})");
  auto config = load_generation_config(directory_);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_THAT(config->eos_token_ids, ElementsAre(9, 10));
  write("generation_config.json", R"({"do_sample": false})");
  config = load_generation_config(directory_);
  ASSERT_TRUE(config.ok());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(9, 10));
}

TEST_F(GenerationConfigFiles, SamplingIsWhatTheMakersSayAndNothingWhenTheyAreGreedy) {
  write("config.json", R"({"eos_token_id": 9})");
  const auto read = [&](const std::string& text) {
    write("generation_config.json", text);
    auto config = load_generation_config(directory_);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return config.ok() ? config->sampling : SamplingDefaults();
  };
  const SamplingDefaults all =
      read(R"({"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1})");
  EXPECT_EQ(all.temperature, 0.7f);
  EXPECT_EQ(all.min_p, 0.05f);
  EXPECT_EQ(all.repetition_penalty, 1.1f);
  EXPECT_EQ(read(R"({"do_sample": true})").temperature, 1.0f);
  EXPECT_EQ(read(R"({"temperature": 1, "top_k": -1})").top_k, 0);
  const SamplingDefaults greedy =
      read(R"({"do_sample": false, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1})");
  EXPECT_FALSE(greedy.temperature.has_value());
  EXPECT_FALSE(greedy.top_k.has_value());
  EXPECT_EQ(greedy.repetition_penalty, 1.1f);
  EXPECT_FALSE(read("{}").temperature.has_value());
  for (const char* bad : {R"({"temperature": -1})", R"({"top_p": 2})", R"({"top_k": 1.5})",
                          R"({"min_p": "x"})", R"({"repetition_penalty": 0})", R"({"do_sample": 1})"}) {
    write("generation_config.json", bad);
    const auto config = load_generation_config(directory_);
    ASSERT_FALSE(config.ok()) << bad;
    EXPECT_EQ(config.error().code, ErrorCode::kCorruptData);
  }
}

TEST_F(GenerationConfigFiles, RefusesBadIdsNamingFileAndKey) {
  write("config.json", R"({"eos_token_id": 9})");
  for (const char* bad : {"-1", "[1, -1]", "4294967296", "1.5", "\"9\"", "{}"}) {
    write("generation_config.json", std::string(R"({"eos_token_id": )") + bad + "}");
    const auto config = load_generation_config(directory_);
    ASSERT_FALSE(config.ok()) << bad;
    EXPECT_THAT(config.error().message, HasSubstr("generation_config.json"));
    EXPECT_THAT(config.error().message, HasSubstr("eos_token_id"));
  }
}

}  // namespace
}  // namespace kakeya::formats
