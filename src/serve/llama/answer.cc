#include "serve/llama/answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/openai/drafted.h"
#include "serve/openai/usage.h"
#include "serve/report.h"

namespace kakeya::serve::llama {
namespace {

using dialog::AnswerPart;

const std::vector<Token>& prompt_of(const CompletionCall& call, std::size_t prompt) {
  return std::get<std::vector<Token>>(call.dialogs[prompt].input);
}

std::size_t prompt_at(const CompletionCall& call, std::size_t index) {
  return index / static_cast<std::size_t>(call.n);
}

Json named_token(Token id, const Engine& engine) {
  const std::string bytes = engine.token_bytes(id);
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {{"id", id}, {"token", bytes}, {"bytes", std::move(numbers)}};
}

// JSON has no minus infinity.
Json with_logprob(Json token, float logprob) {
  token["logprob"] = std::max(logprob, -9999.0f);
  return token;
}

Json with_prob(Json token, double prob) {
  token["prob"] = prob;
  return token;
}

// What a greedy answer is drawn from: its token and nothing else. The others are the model's most probable.
Json drawn_from(const TokenLogprob& token, std::size_t count, const Engine& engine) {
  Json out = with_prob(named_token(token.id, engine), 1.0);
  Json top = Json::array({with_prob(named_token(token.id, engine), 1.0)});
  for (const auto& [id, logprob] : token.top) {
    if (id != token.id && top.size() < count) top.push_back(with_prob(named_token(id, engine), 0.0));
  }
  out["top_probs"] = std::move(top);
  return out;
}

Json probabilities(const std::vector<TokenLogprob>& tokens, const CompletionCall& call,
                   const Engine& engine) {
  Json out = Json::array();
  for (const TokenLogprob& token : tokens) {
    if (call.post_sampling) {
      out.push_back(drawn_from(token, static_cast<std::size_t>(call.n_probs()), engine));
      continue;
    }
    Json made = with_logprob(named_token(token.id, engine), token.logprob);
    Json top = Json::array();
    for (const auto& [id, logprob] : token.top) top.push_back(with_logprob(named_token(id, engine), logprob));
    made["top_logprobs"] = std::move(top);
    out.push_back(std::move(made));
  }
  return out;
}

const char* stop_type(const Completion& done) {
  if (done.finish != FinishReason::kStop) return "limit";
  return done.stop_string.empty() ? "eos" : "word";
}

// The context ended the answer, not a limit that was asked for.
bool truncated(const CompletionCall& call, const Completion& done, const Context& context) {
  const auto output = static_cast<std::int64_t>(done.usage.output_tokens);
  const bool wanted_more = call.n_predict < 0 || call.n_predict > output;
  return done.finish == FinishReason::kLength && wanted_more &&
         done.usage.prompt_tokens + done.usage.output_tokens >= context.context_tokens();
}

// "a/b" is the field b of the object a.
const Json* field_at(const Json& body, const std::string& path) {
  const Json* at = &body;
  for (std::size_t from = 0; at != nullptr && from <= path.size();) {
    const std::size_t end = std::min(path.find('/', from), path.size());
    const auto found = at->is_object() ? at->find(path.substr(from, end - from)) : at->end();
    at = at->is_object() && found != at->end() ? &*found : nullptr;
    from = end + 1;
  }
  return at;
}

// Tokens that came at once, each with its own bytes of their text; what is no token's own goes with the last.
std::vector<AnswerPart> one_by_one(const AnswerPart& part, const Engine& engine) {
  std::vector<AnswerPart> out;
  std::string_view left = part.text;
  for (std::size_t i = 0; i < part.ids.size(); ++i) {
    AnswerPart piece;
    piece.kind = part.kind;
    piece.elapsed_ms = part.elapsed_ms;
    piece.ids = {part.ids[i]};
    if (i < part.logprobs.size()) piece.logprobs = {part.logprobs[i]};
    if (i < part.drafted.size()) piece.drafted = {part.drafted[i]};
    const std::string bytes = engine.token_bytes(part.ids[i]);
    const bool splits_character =
        bytes.size() < left.size() && (static_cast<unsigned char>(left[bytes.size()]) & 0xC0) == 0x80;
    if (i + 1 == part.ids.size()) {
      piece.text = left;
    } else if (left.substr(0, bytes.size()) == bytes && !splits_character) {
      piece.text = bytes;
    }
    left.remove_prefix(piece.text.size());
    out.push_back(std::move(piece));
  }
  return out;
}

}  // namespace

Json whole_json(const CompletionCall& call, std::size_t index, const WholeAnswer& answer, bool streamed,
                const Context& context) {
  const Completion& done = answer.summary->completion;
  const std::size_t prompt = prompt_at(call, index);
  const bool tokens = call.return_tokens && !streamed;
  Json body = {{"index", index},
               {"content", streamed ? "" : answer.content},
               {"tokens", tokens ? Json(answer.ids) : Json::array()},
               {"id_slot", done.slot},
               {"stop", true},
               {"model", context.model_id},
               {"tokens_predicted", done.usage.output_tokens},
               {"tokens_evaluated", done.usage.prompt_tokens},
               {"generation_settings", settings_json(call, prompt, *answer.summary, context)},
               {"prompt", context.engine.decode(prompt_of(call, prompt), false)},
               {"has_new_line", answer.content.find('\n') != std::string::npos},
               {"truncated", truncated(call, done, context)},
               {"stop_type", stop_type(done)},
               {"stopping_word", done.stop_string},
               {"tokens_cached", done.usage.cached_tokens},
               {"timings", openai::timings_json(*answer.summary)}};
  if (call.n_probs() > 0 && !streamed) {
    body["completion_probabilities"] = probabilities(answer.logprobs, call, context.engine);
  }
  body["kakeya"] = kakeya_json(*answer.summary, context);
  if (call.response_fields.empty()) return body;
  Json chosen = Json::object();
  for (const std::string& path : call.response_fields) {
    if (const Json* field = field_at(body, path)) chosen[path] = *field;
  }
  return chosen;
}

PartialAnswers::PartialAnswers(const CompletionCall& call, const Context& context)
    : call_(call), context_(context), states_(call.dialogs.size() * static_cast<std::size_t>(call.n)) {}

void PartialAnswers::count(State& state, const AnswerPart& part) {
  if (part.prompt_tokens > 0) state.usage.prompt_tokens = part.prompt_tokens;
  if (part.kind == AnswerPart::Kind::kStarted) {
    state.slot = part.slot;
    state.usage.cached_tokens = part.cached_tokens;
    state.usage.queued_ms = part.elapsed_ms;
  }
  if (part.ids.empty()) return;
  if (state.usage.output_tokens == 0) {
    state.first_ms = part.elapsed_ms;
    state.usage.prefill_ms = part.elapsed_ms - state.usage.queued_ms;
  }
  state.usage.output_tokens += part.ids.size();
  state.drafted += static_cast<std::size_t>(std::count(part.drafted.begin(), part.drafted.end(), 1));
  state.usage.decode_ms = part.elapsed_ms - state.first_ms;
}

Json PartialAnswers::head(std::size_t index) const {
  const State& state = states_[index];
  Json out = {{"index", index},
              {"content", ""},
              {"tokens", Json::array()},
              {"stop", false},
              {"id_slot", state.slot},
              {"tokens_predicted", state.usage.output_tokens},
              {"tokens_evaluated", state.usage.prompt_tokens}};
  if (call_.stream.timings_per_token) out["timings"] = openai::timings_json(state.usage);
  return out;
}

Json PartialAnswers::token(std::size_t index, const AnswerPart& part) {
  count(states_[index], part);
  Json out = head(index);
  out["content"] = part.text;
  out["tokens"] = part.ids;
  if (call_.n_probs() > 0) {
    out["completion_probabilities"] = probabilities(part.logprobs, call_, context_.engine);
  }
  if (call_.stream.return_drafted) {
    out["kakeya"] = {{"drafted", openai::drafted_runs(part, context_.engine)},
                     {"drafted_n", states_[index].drafted}};
  }
  return out;
}

std::vector<Json> PartialAnswers::add(std::size_t index, const AnswerPart& part) {
  State& state = states_[index];
  add_part(state.so_far, part);
  if (part.kind == AnswerPart::Kind::kFinished && part.summary) {
    return {whole_json(call_, index, state.so_far, true, context_)};
  }
  if (part.kind == AnswerPart::Kind::kContent) {
    std::vector<Json> events;
    for (const AnswerPart& piece : one_by_one(part, context_.engine)) events.push_back(token(index, piece));
    return events;
  }
  count(state, part);
  if (part.kind != AnswerPart::Kind::kProgress || !call_.stream.return_progress) return {};
  Json out = head(index);
  AnswerPart with_cache = part;
  with_cache.prompt_tokens = state.usage.prompt_tokens;
  with_cache.cached_tokens = state.usage.cached_tokens;
  out["prompt_progress"] = openai::progress_json(with_cache);
  return {out};
}

}  // namespace kakeya::serve::llama
