#include "serve/openai/generation_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/openai/foreign_fields.h"
#include "serve/shared_fields.h"
#include "serve/switches.h"

namespace kakeya::serve::openai {
namespace {

constexpr int kMaxInt = std::numeric_limits<int>::max();
constexpr double kHottest = 1000;
constexpr float kBanned = -1e30f;  // finite: sums of it stay numbers

std::optional<float> as_float(std::optional<double> value) {
  return value ? std::optional<float>(static_cast<float>(*value)) : std::nullopt;
}

std::optional<Token> token_id(std::int64_t id, const Context& context) {
  if (id < 0 || id >= static_cast<std::int64_t>(context.engine.target().vocab_size)) return {};
  return static_cast<Token>(id);
}

// The tokens that a bias is for: an id, or all of a text's where texts may be named.
std::vector<Token> biased_tokens(const Context& context, const std::string& key, bool texts) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error == std::errc() && end == key.data() + key.size()) {
    const auto token = token_id(id, context);
    return token ? std::vector<Token>{*token} : std::vector<Token>();
  }
  if (!texts) return {};
  auto ids = context.engine.encode(key, false);
  return ids.ok() ? std::move(*ids) : std::vector<Token>();
}

void add_bias(Fields& fields, const std::vector<Token>& tokens, const Json& value,
              dialog::DialogRequest& out) {
  const bool banned = value.is_boolean() && !value.get<bool>();
  if (!banned && (!value.is_number() || std::abs(value.get<double>()) > 100)) {
    return fields.fail("logit_bias", fmt::format("token {}: found {}, expected a number from -100 to 100.",
                                                 fmt::join(tokens, ", "), describe(value)));
  }
  const float bias = banned ? kBanned : static_cast<float>(value.get<double>());
  for (const Token token : tokens) out.rules.logit_bias.emplace_back(token, bias);
}

void read_logit_bias(Fields& fields, const Context& context, dialog::DialogRequest& out, bool texts) {
  const Json* bias = fields.find("logit_bias");
  if (bias == nullptr) return;
  const auto add = [&](const std::string& key, const Json& value) {
    const auto tokens = biased_tokens(context, key, texts);
    if (!tokens.empty()) return add_bias(fields, tokens, value, out);
    fields.fail("logit_bias", fmt::format("found the key '{}', expected a token id below {}{}.", key,
                                          context.engine.target().vocab_size, texts ? " or a text" : ""));
  };
  if (bias->is_object()) {
    for (const auto& [key, value] : bias->items()) add(key, value);
    return;
  }
  if (!bias->is_array()) return fields.fail("logit_bias", "expected an object of token ids and numbers.");
  for (const Json& pair : *bias) {  // llama-server's form
    const bool text = pair.is_array() && pair.size() == 2 && texts && pair[0].is_string();
    if (!text && (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_integer())) {
      return fields.fail("logit_bias", "expected pairs [token id, number].");
    }
    add(text ? pair[0].get<std::string>() : std::to_string(pair[0].get<std::int64_t>()), pair[1]);
  }
}

void read_sampling(Fields& fields, dialog::DialogRequest& out, Dialect dialect) {
  dialog::Sampling& sampling = out.sampling;
  const bool any = dialect == Dialect::kLlama;  // below 0 is greedy there
  sampling.temperature = as_float(fields.number("temperature", any ? -kHottest : 0, any ? kHottest : 2));
  if (sampling.temperature && *sampling.temperature < 0) sampling.temperature = 0.0f;
  sampling.top_p = read_top_p(fields);
  sampling.min_p = as_float(fields.number("min_p", 0, 1));
  if (const auto top_k = fields.integer("top_k", -1, kMaxInt))
    sampling.top_k = static_cast<int>(std::max<std::int64_t>(*top_k, 0));
  const auto repetition = fields.number("repetition_penalty", 0.01, 100);
  const auto repeat = fields.number("repeat_penalty", 0.01, 100);
  sampling.repetition_penalty = as_float(repetition ? repetition : repeat);
  if (const auto last = fields.integer("repeat_last_n", -1, kMaxInt)) {
    if (*last == 0) sampling.repetition_penalty = 1.0f;
    out.rules.repeat_last_n = static_cast<std::size_t>(std::max<std::int64_t>(*last, 0));
  }
  out.rules.presence_penalty = static_cast<float>(fields.number("presence_penalty", -2, 2).value_or(0));
  out.rules.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2).value_or(0));
  const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min());
  if (seed && *seed != -1) sampling.seed = static_cast<std::uint64_t>(*seed);  // -1: llama-server's "any"
}

// The draft is the server's own: of llama-server's switches for it only "none" can be kept.
void read_draft(Fields& fields, dialog::DialogRequest& out) {
  const auto most = fields.integer("speculative.n_max", 0);
  if (most == 0) out.speculation = Speculation::kOff;
  if (most.value_or(0) > 0) {
    fields.refuse("speculative.n_max",
                  fmt::format("found {}, expected 0 (no draft) or nothing; kakeya.verify_width says how much "
                              "of a draft is verified.",
                              *most));
  }
}

void read_limits(Fields& fields, dialog::DialogRequest& out, bool none_allowed) {
  for (const char* name : {"max_completion_tokens", "max_tokens", "max_output_tokens", "n_predict"}) {
    const auto limit = fields.integer(name, -1);
    if (!limit || out.max_tokens) continue;
    if (*limit == 0 && !none_allowed) return fields.fail(name, "found 0, expected at least 1.");
    if (*limit >= 0) out.max_tokens = static_cast<int>(std::min<std::int64_t>(*limit, kMaxInt));
  }
}

void read_stops(Fields& fields, const Context& context, dialog::DialogRequest& out) {
  out.stop_strings = fields.texts("stop", kMaxStops);
  if (out.stop_strings.empty()) out.stop_strings = fields.texts("stop_sequences", kMaxStops);
  const auto is_nothing = [](const std::string& text) { return text.empty(); };
  out.stop_strings.erase(std::remove_if(out.stop_strings.begin(), out.stop_strings.end(), is_nothing),
                         out.stop_strings.end());
  if (const Json* ids = fields.array("stop_token_ids")) {
    for (const Json& id : *ids) {
      const auto token = id.is_number_integer() ? token_id(id.get<std::int64_t>(), context) : std::nullopt;
      if (!token) return fields.fail("stop_token_ids", "expected token ids of this model.");
      out.stop_ids.push_back(*token);
    }
  }
  out.ignore_stop = fields.boolean("ignore_eos", false);
  out.rules.min_tokens = static_cast<int>(fields.integer("min_tokens", 0, kMaxInt).value_or(0));
}

}  // namespace

void read_generation(Fields& fields, const Context& context, dialog::DialogRequest& out, Dialect dialect) {
  refuse_foreign(fields, dialect);
  read_draft(fields, out);
  read_sampling(fields, out, dialect);
  read_limits(fields, out, dialect != Dialect::kChat);
  read_stops(fields, context, out);
  read_logit_bias(fields, context, out, dialect == Dialect::kLlama);
  out.reuse_prefix = fields.boolean("cache_prompt", true);
  const auto slot = fields.integer("id_slot", -1, kMaxInt);
  if (slot && *slot >= 0) out.slot = static_cast<int>(*slot);
  read_switches(fields, context, out, true);
}

std::optional<http::ApiError> check_model(const Json& body, const Context& context) {
  const auto at = body.find("model");
  if (at == body.end() || at->is_null()) return {};
  if (!at->is_string())
    return bad_field("model", fmt::format("model: found {}, expected a string.", describe(*at)));
  const auto& name = at->get_ref<const std::string&>();
  if (name.empty() || context.serves(name)) return {};
  return model_not_found(name, context.model_id);
}

StreamOptions read_stream_options(Fields& fields) {
  StreamOptions out;
  out.stream = fields.boolean("stream", false);
  out.timings_per_token = fields.boolean("timings_per_token", false);
  out.return_progress = fields.boolean("return_progress", false);
  if (const Json* own = fields.object("kakeya")) {
    Fields switches(*own, "kakeya.");
    out.return_drafted = switches.boolean("return_drafted", false);
    fields.merge(switches);
  }
  const Json* object = fields.object("stream_options");
  if (object == nullptr) return out;
  if (!out.stream) fields.fail("stream_options", "expected only together with stream: true.");
  Fields options(*object, "stream_options.");
  out.include_usage = options.boolean("include_usage", false);
  out.continuous_usage = options.boolean("continuous_usage_stats", false);
  fields.merge(options);
  return out;
}

}  // namespace kakeya::serve::openai
