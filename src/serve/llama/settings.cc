// "generation_settings": what is in effect, asked for or not. Samplers that we lack are shown switched off.
#include <nlohmann/json.hpp>

#include "serve/llama/answer.h"

namespace kakeya::serve::llama {
namespace {

template <class T>
T in_effect(const std::optional<T>& asked, const std::optional<T>& makers, T otherwise) {
  return asked ? *asked : makers.value_or(otherwise);
}

std::string text_of(const dialog::DialogRequest& request, ConstraintKind kind) {
  return request.format && request.format->kind == kind ? request.format->text : "";
}

Json biases(const dialog::DialogRequest& request) {
  Json out = Json::array();
  for (const auto& [token, bias] : request.rules.logit_bias)
    out.push_back({{"token", token}, {"bias", bias}});
  return out;
}

}  // namespace

Json settings_json(const CompletionCall& call, std::size_t prompt, const dialog::Summary& summary,
                   const Context& context) {
  const dialog::DialogRequest& request = call.dialogs[prompt];
  const dialog::Sampling& asked = request.sampling;
  const SamplingDefaults& makers = context.engine.sampling_defaults();
  const auto last_n = static_cast<std::int64_t>(request.rules.repeat_last_n);
  return {{"n_ctx", context.context_tokens()},
          {"seed", summary.seed},
          {"temperature", in_effect(asked.temperature, makers.temperature, 0.0f)},
          {"dynatemp_range", 0},
          {"dynatemp_exponent", 1},
          {"top_k", in_effect(asked.top_k, makers.top_k, 0)},
          {"top_p", in_effect(asked.top_p, makers.top_p, 1.0f)},
          {"min_p", in_effect(asked.min_p, makers.min_p, 0.0f)},
          {"top_n_sigma", -1},
          {"xtc_probability", 0},
          {"xtc_threshold", 0.1},
          {"typical_p", 1},
          {"repeat_last_n", last_n > 0 ? last_n : -1},  // -1: all
          {"repeat_penalty", in_effect(asked.repetition_penalty, makers.repetition_penalty, 1.0f)},
          {"presence_penalty", request.rules.presence_penalty},
          {"frequency_penalty", request.rules.frequency_penalty},
          {"dry_multiplier", 0},
          {"mirostat", 0},
          {"stop", request.stop_strings},
          {"max_tokens", call.n_predict},
          {"n_predict", call.n_predict},
          {"n_keep", call.n_keep},
          {"n_discard", 0},
          {"ignore_eos", request.ignore_stop},
          {"stream", call.stream.stream},
          {"logit_bias", biases(request)},
          {"n_probs", call.n_probs()},
          {"min_keep", 0},
          {"grammar", text_of(request, ConstraintKind::kGrammar)},
          {"json_schema", text_of(request, ConstraintKind::kJsonSchema)},
          {"samplers", {"penalties", "temperature", "top_k", "top_p", "min_p"}},
          {"timings_per_token", call.stream.timings_per_token},
          {"post_sampling_probs", call.post_sampling},
          {"t_max_predict_ms", call.predict_ms},
          {"lora", Json::array()}};
}

}  // namespace kakeya::serve::llama
