// Bodies of llama-server's own routes.
#include "serve/llama/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "serve/test_support.h"

namespace kakeya::serve::llama {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Bytes, and Qwen's marks for code as the tokens 250 to 254.
class FimEngine : public test::ByteEngine {
 public:
  Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const override {
    for (std::size_t i = 0; parse_special && i < kMarks.size(); ++i) {
      if (text == kMarks[i]) return std::vector<Token>{static_cast<Token>(250 + i)};
    }
    return ByteEngine::encode(text, parse_special);
  }
  std::string token_bytes(Token id) const override {
    return id < 250 ? ByteEngine::token_bytes(id) : std::string(kMarks[static_cast<std::size_t>(id - 250)]);
  }

 private:
  static constexpr std::array<std::string_view, 5> kMarks = {
      "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"};
};

class NativeBody : public testing::Test {
 protected:
  std::optional<http::ApiError> read(const std::string& body) {
    Json json;
    EXPECT_FALSE(parse_body(body, json)) << body;
    call_ = {};
    return read_completion(json, world_.context, call_);
  }
  std::optional<http::ApiError> with(const std::string& fields) {
    return read(R"({"prompt":"a",)" + fields + "}");
  }
  const std::vector<Token>& prompt(std::size_t i = 0) {
    return std::get<std::vector<Token>>(call_.dialogs[i].input);
  }
  test::World world_;
  CompletionCall call_;
};

TEST_F(NativeBody, TakesTextsTokensBothInOneAndSeveral) {
  EXPECT_FALSE(read(R"({"prompt":"ab"})"));
  EXPECT_THAT(prompt(), ElementsAre('a', 'b'));
  EXPECT_FALSE(read(R"({"prompt":[1,2]})"));
  EXPECT_THAT(prompt(), ElementsAre(1, 2));
  EXPECT_FALSE(read(R"({"prompt":[1,"ab",2,"c"]})"));
  EXPECT_THAT(prompt(), ElementsAre(1, 'a', 'b', 2, 'c'));
  EXPECT_FALSE(call_.several());
  EXPECT_FALSE(read(R"({"prompt":["a",[1,2],[3,"b"],{"prompt_string":"c"}]})"));
  ASSERT_EQ(call_.dialogs.size(), 4u);
  EXPECT_THAT(prompt(2), ElementsAre(3, 'b'));
  EXPECT_THAT(prompt(3), ElementsAre('c'));
  EXPECT_TRUE(call_.several());
  for (const char* body : {R"({})", R"({"prompt":""})", R"({"prompt":[]})", R"({"prompt":[256]})",
                           R"({"prompt":[-1,"a"]})", R"({"prompt":[[1],2]})", R"({"prompt":1.5})"}) {
    const auto error = read(body);
    ASSERT_TRUE(error) << body;
    EXPECT_EQ(error->param, "prompt") << body;
  }
  EXPECT_EQ(read(R"({"prompt":{"prompt_string":"<__media__>","multimodal_data":["AAAA"]}})")->param,
            "prompt.multimodal_data");
}

TEST_F(NativeBody, ReadsLimitsAsLlamaServerWritesThem) {
  EXPECT_FALSE(with(R"("n_predict":-1,"seed":-1,"id_slot":-1,"top_k":-1,"repeat_last_n":-1)"));
  EXPECT_FALSE(call_.dialogs[0].max_tokens);
  EXPECT_FALSE(call_.dialogs[0].sampling.seed);
  EXPECT_FALSE(call_.dialogs[0].slot);
  EXPECT_EQ(call_.n_predict, -1);
  EXPECT_FALSE(with(R"("n_predict":0,"id_slot":1,"cache_prompt":false)"));
  EXPECT_EQ(call_.dialogs[0].max_tokens, 0);
  EXPECT_EQ(call_.dialogs[0].slot, 1);
  EXPECT_FALSE(call_.dialogs[0].reuse_prefix);
  EXPECT_FALSE(with(R"("temperature":-1)"));
  EXPECT_EQ(call_.dialogs[0].sampling.temperature, 0.0f);
  EXPECT_FALSE(with(R"("n_cmpl":3,"seed":7)"));
  EXPECT_EQ(call_.n, 3);
  for (const char* wrong : {"\"n_predict\":-2", "\"n_probs\":21", "\"n_cmpl\":17",
                            "\"t_max_predict_ms\":\"1\"", "\"response_fields\":[1]", "\"return_tokens\":1"}) {
    EXPECT_TRUE(with(wrong)) << wrong;
  }
}

TEST_F(NativeBody, BiasesTokensTextsAndBansWithFalse) {
  EXPECT_FALSE(with(R"("logit_bias":[[5,1.5],["ab",-2],[7,false]])"));
  const auto& bias = call_.dialogs[0].rules.logit_bias;
  ASSERT_EQ(bias.size(), 4u);
  EXPECT_EQ(bias[0], std::pair(Token{5}, 1.5f));
  EXPECT_EQ(bias[1], std::pair(Token{'a'}, -2.0f));
  EXPECT_EQ(bias[2], std::pair(Token{'b'}, -2.0f));
  EXPECT_LT(bias[3].second, -1e20f);
  EXPECT_FALSE(with(R"("logit_bias":{"5":1,"x":-3})"));
  EXPECT_EQ(call_.dialogs[0].rules.logit_bias[1], std::pair(Token{'x'}, -3.0f));
  EXPECT_EQ(with(R"("logit_bias":[[256,1]])")->param, "logit_bias");
  EXPECT_EQ(with(R"("logit_bias":[["a","b"]])")->param, "logit_bias");
}

TEST_F(NativeBody, TakesWhatIsOffAndRefusesTheRestByName) {
  EXPECT_FALSE(with(
      R"("mirostat":0,"mirostat_tau":5.0,"typical_p":1.0,"dry_multiplier":0,"dry_base":1.75,"xtc_probability":0,
         "xtc_threshold":0.1,"top_n_sigma":-1,"dynatemp_range":0,"dynatemp_exponent":1,"min_keep":0,"n_indent":0,
         "n_keep":12,"n_discard":0,"lora":[],"grammar":"","image_data":[],"backend_sampling":false,
         "samplers":["dry","top_k","typ_p","top_p","min_p","xtc","temperature"],"speculative.n_max":0,
         "sse_ping_interval":30,"grammar_lazy":false,"preserved_tokens":[],"adaptive_target":-1.0)"));
  EXPECT_EQ(call_.dialogs[0].speculation, Speculation::kOff);
  const std::pair<const char*, const char*> refused[] = {
      {R"("mirostat":2)", "mirostat"},
      {R"("typical_p":0.5)", "typical_p"},
      {R"("n_indent":4)", "n_indent"},
      {R"("min_keep":5)", "min_keep"},
      {R"("n_cache_reuse":256)", "n_cache_reuse"},
      {R"("lora":[{"id":0,"scale":0.5}])", "lora"},
      {R"("samplers":["top_k"])", "samplers"},
      {R"("samplers":["temperature","top_k","top_p","min_p"])", "samplers"},
      {R"("samplers":"kt")", "samplers"},
      {R"("speculative.n_max":8)", "speculative.n_max"},
      {R"("post_sampling_probs":true,"temperature":0.5)", "post_sampling_probs"},
      {R"("verbose":true)", "verbose"},
  };
  for (const auto& [field, param] : refused) {
    const auto error = with(field);
    ASSERT_TRUE(error) << field;
    EXPECT_EQ(error->status, 400);
    EXPECT_EQ(error->param, param);
    EXPECT_EQ(error->code, "unsupported_parameter") << field;
  }
  EXPECT_FALSE(with(R"("post_sampling_probs":true,"n_probs":3,"temperature":0)"));
}

TEST_F(NativeBody, TakesTheServersDefaultsAndItsLimit) {
  world_.options.defaults = {0.25f, 42, 64};
  EXPECT_FALSE(with(R"("n_predict":256)"));
  EXPECT_EQ(call_.n_predict, 64);
  EXPECT_EQ(call_.dialogs[0].sampling.seed, 42u);
  EXPECT_EQ(call_.dialogs[0].sampling.temperature, 0.25f);
  EXPECT_FALSE(with(R"("n_predict":8,"seed":1,"temperature":0)"));
  EXPECT_EQ(call_.n_predict, 8);
  EXPECT_EQ(call_.dialogs[0].sampling.seed, 1u);
}

class InfillBody : public testing::Test {
 protected:
  std::optional<http::ApiError> read(const Context& context, const std::string& body) {
    Json json;
    EXPECT_FALSE(parse_body(body, json)) << body;
    call_ = {};
    return read_infill(json, context, call_);
  }
  // The prompt, its marks as digits.
  std::string text() {
    std::string out;
    for (const Token id : std::get<std::vector<Token>>(call_.dialogs[0].input)) {
      out += id >= 250 ? static_cast<char>('0' + id - 250) : static_cast<char>(id);
    }
    return out;
  }
  test::World world_;
  FimEngine engine_;
  Context context_{engine_, world_.service, world_.options, test::ask_of(world_.script), world_.metrics, "m"};
  CompletionCall call_;
};

TEST_F(InfillBody, PutsPrefixSuffixAndWhatStandsInTheMiddle) {
  EXPECT_FALSE(read(context_, R"({"input_prefix":"a(","input_suffix":")z","prompt":"x"})"));
  EXPECT_EQ(text(), "0a(1)z2x");
  EXPECT_FALSE(read(context_, R"({"input_prefix":"<|fim_middle|>","input_suffix":""})"));
  EXPECT_EQ(text(), "0<|fim_middle|>12") << "marks inside a text are text";
}

TEST_F(InfillBody, PutsOtherFilesBeforeIt) {
  EXPECT_FALSE(read(context_, R"({"input_prefix":"p","input_suffix":"s",
                                  "input_extra":[{"filename":"f.h","text":"int f;\n"}]})"));
  EXPECT_EQ(text(), "3repository\n4f.h\nint f;\n4file\n0p1s2");
  for (const char* extra : {"[{}]", R"([{"filename":"ok"}])", R"([{"filename":1,"text":"a"}])", R"(["x"])"}) {
    EXPECT_TRUE(
        read(context_, R"({"input_prefix":"p","input_suffix":"s","input_extra":)" + std::string(extra) + "}"))
        << extra;
  }
}

TEST_F(InfillBody, IsRefusedWhereTheModelHasNoSuchTokens) {
  const auto error = read(world_.context, R"({"input_prefix":"p","input_suffix":"s"})");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "unsupported_parameter");
  EXPECT_THAT(error->message, HasSubstr("fill-in-the-middle"));
  EXPECT_EQ(read(context_, R"({"input_suffix":"s"})")->param, "input_prefix");
}

}  // namespace
}  // namespace kakeya::serve::llama
