#include "serve/openai/foreign_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/shared_fields.h"

namespace kakeya::serve::openai {
namespace {

bool at_most(const Json& value, double limit) { return value.is_number() && value.get<double>() <= limit; }
bool is_any(const Json& value, std::initializer_list<const char*> texts) {
  return std::any_of(texts.begin(), texts.end(), [&](const char* text) { return value == text; });
}
bool only_text(const Json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const Json& v) { return v == "text"; });
}

// llama-server's order of samplers, by its names. What we lack among them is off by the list below.
bool usual_samplers(const Json& value) {
  static const std::vector<std::string> kUsual = {"penalties", "dry",   "top_n_sigma", "top_k",      "typ_p",
                                                  "top_p",     "min_p", "xtc",         "temperature"};
  if (value.is_string()) return value == "edskypmxt";
  if (!value.is_array()) return false;
  std::vector<std::string> names;
  for (const Json& name : value) {
    if (!name.is_string()) return false;
    names.push_back(name == "typical_p" ? "typ_p" : name.get<std::string>());
  }
  auto at = kUsual.begin();
  for (const std::string& name : names) {
    at = std::find(at, kUsual.end(), name);
    if (at == kUsual.end()) return false;
  }
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has("top_k") && has("top_p") && has("min_p") && has("temperature");
}

constexpr Refused kEverywhere[] = {
    {"mirostat", off::zero, "0"},
    {"dry_multiplier", off::zero, "0"},
    {"xtc_probability", off::zero, "0"},
    {"typical_p", off::one, "1"},
    {"typ_p", off::one, "1"},
    {"tfs_z", off::one, "1"},
    {"dynatemp_range", off::zero, "0"},
    {"top_n_sigma", off::zero, "0 or less"},
    {"top_a", off::zero, "0"},
    {"adaptive_target", [](const Json& value) { return at_most(value, -1e-9); }, "-1"},
    {"min_keep", [](const Json& value) { return at_most(value, 1); }, "0 or 1"},
    {"penalize_nl", off::no, "false"},
    {"length_penalty", off::one, "1"},
    {"samplers", usual_samplers,
     "the usual order, or nothing: the chain is temperature, top_k, top_p, min_p"},
    {"backend_sampling", off::no, "false"},
    {"use_beam_search", off::no, "false"},
    {"logits_processors", off::nothing, "none"},
    {"lora", off::nothing, "none"},
    {"prompt_logprobs", off::never, ""},
    {"truncate_prompt_tokens", off::never, ""},
    {"skip_special_tokens", off::yes, "true"},
    {"include_stop_str_in_output", off::no, "false"},
    {"bad_words", off::nothing, "none"},
    {"allowed_token_ids", off::nothing, "none"},
    {"modalities", only_text, "text"},
    {"audio", off::nothing, "none"},
    {"image_data", off::nothing, "none"},
    {"functions", off::nothing, "tools"},
    {"web_search_options", off::never, ""},
    {"chat_template", off::nothing, "none"},
    {"documents", off::nothing, "none"},
    {"guided_regex", off::nothing, "guided_json or guided_grammar"},
    {"guided_choice", off::nothing, "guided_json or guided_grammar"},
    {"system_prompt", off::nothing, "none"},
    {"thinking_forced_open", off::no, "false"},
    {"reasoning_in_content", off::no, "false"},
    {"reasoning_budget_tokens", [](const Json& value) { return at_most(value, -1); }, "-1"},
    {"grammar_lazy", off::no, "false"},
    {"grammar_triggers", off::nothing, "none"},
    {"preserved_tokens", off::nothing, "none"},
    {"n_indent", off::zero, "0"},
    {"n_cache_reuse", off::zero, "0"},
    {"speculative.n_min", off::zero, "0"},
    {"speculative.p_min", off::zero, "0"},
};

constexpr Refused kNotNative[] = {
    // llama-server's own routes do these
    {"n_probs", off::zero, "logprobs"},
    {"t_max_predict_ms", off::zero, "none: the server's --timeout holds"},
};

constexpr Refused kChatAlone[] = {
    {"best_of", off::one, "1: answers are not ranked"},
    {"parse_tool_calls", off::yes, "true"},
    // Reasoning stands in fields of its own, as these say it.
    {"reasoning_format",
     [](const Json& value) {
       return is_any(value, {"auto", "deepseek", "parsed"});
     },
     "auto or deepseek"},
};

constexpr Refused kTextAlone[] = {
    {"chat_format", off::zero, "0"},
    {"reasoning_format",
     [](const Json& value) {
       return is_any(value, {"none", "auto"});
     },
     "none"},
    {"sse_ping_interval", [](const Json& value) { return value.is_number() && value.get<double>() > 0; },
     "more than 0: a silent stream gets a comment every 10 seconds"},
    {"verbose", off::no, "false"},
};

}  // namespace

void refuse_foreign(Fields& fields, Dialect dialect) {
  refuse_unless_off(fields, kEverywhere);
  if (dialect != Dialect::kLlama) refuse_unless_off(fields, kNotNative);
  refuse_unless_off(fields, dialect == Dialect::kChat ? std::span<const Refused>(kChatAlone) : kTextAlone);
}

}  // namespace kakeya::serve::openai
