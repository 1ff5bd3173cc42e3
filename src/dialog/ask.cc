// A request from messages to the service.
#include <algorithm>
#include <random>

#include "dialog/answer_rules.h"
#include "dialog/dialog.h"
#include "dialog/prompt.h"
#include "dialog/reply.h"

namespace kakeya::dialog {
namespace {

std::size_t context_of(const Engine& engine, const Service& service) {
  const std::size_t slot = service.options().session.max_tokens;
  return slot > 0 ? slot : engine.target().max_position_embeddings;
}

// Clients find an overflow by these words.
Error overflow(std::size_t context, std::size_t prompt) {
  return {ErrorCode::kContextOverflow, "This model's maximum context length is " + std::to_string(context) +
                                           " tokens. However, your messages resulted in " +
                                           std::to_string(prompt) +
                                           " tokens. Please reduce the length of the messages."};
}

// The request's value, else the makers' default, else greedy.
void resolve_sampling(const Sampling& asked, const SamplingDefaults& makers, GenerateOptions& options) {
  SamplingOptions& sampling = options.sampling;
  const auto pick = [](auto& out, const auto& first, const auto& second) {
    if (first) {
      out = *first;
    } else if (second) {
      out = *second;
    }
  };
  pick(sampling.temperature, asked.temperature, makers.temperature);
  pick(sampling.top_p, asked.top_p, makers.top_p);
  pick(sampling.min_p, asked.min_p, makers.min_p);
  pick(sampling.top_k, asked.top_k, makers.top_k);
  const bool ruled = options.rules.repetition_penalty != 1.0f;  // given by the caller among the rules
  const auto fallback = ruled ? std::optional<float>() : makers.repetition_penalty;
  pick(options.rules.repetition_penalty, asked.repetition_penalty, fallback);
  if (asked.seed) {
    sampling.seed = *asked.seed;
  } else if (sampling.temperature > 0) {
    sampling.seed = std::random_device()();  // 32 bits: exact in every reader of JSON
  }
}

}  // namespace

Result<std::unique_ptr<Reply>> ask(const Engine& engine, Service& service, DialogRequest request) {
  KAKEYA_ASSIGN(Prompt prompt, build_prompt(engine, request));
  const std::size_t context = context_of(engine, service);
  if (prompt.ids.size() >= context) return overflow(context, prompt.ids.size());
  if (request.max_tokens && *request.max_tokens < 0) {
    return invalid_argument("max_tokens: found " + std::to_string(*request.max_tokens) +
                            ", expected at least 0");
  }
  ServiceRequest out;
  GenerateOptions& options = out.options;
  options.rules = request.rules;
  KAKEYA_ASSIGN(AnswerRules rules, build_rules(engine, request, prompt.thinking));
  options.rules.constraint = std::move(rules.constraint);
  resolve_sampling(request.sampling, engine.sampling_defaults(), options);
  const auto fits = static_cast<int>(std::min<std::size_t>(context - prompt.ids.size(), 1 << 30));
  options.max_tokens = std::min(request.max_tokens.value_or(fits), fits);
  options.logprobs = request.logprobs;
  options.prompt_logprobs = request.prompt_logprobs;
  options.speculation = request.speculation.value_or(Speculation::kAuto);
  options.block_size = request.block_size;
  options.verify_width = request.verify_width;
  options.ignore_stop = request.ignore_stop;
  options.extra_stop_ids = std::move(request.stop_ids);

  out.prompt = std::move(prompt.ids);
  out.kv = std::move(request.kv);
  out.draft_kv = std::move(request.draft_kv);
  out.client = std::move(request.client);
  out.group = request.group;
  out.reuse_prefix = request.reuse_prefix;
  out.slot = request.slot;

  ReplyOptions reply;
  reply.parse = request.parse_output;
  reply.format = prompt.format;
  reply.format.calls_alone = prompt.format.tool_calls && (request.tool_choice == ToolChoice::kRequired ||
                                                          request.tool_choice == ToolChoice::kNamed);
  reply.format.stream_calls = options.rules.constraint != nullptr;
  reply.loosened = std::move(rules.loosened);
  reply.seed = options.sampling.seed;
  // Tags and arguments of calls are no text that a stop string is for, but the service sees all of it.
  (prompt.format.tool_calls ? reply.stop_strings : out.stop_strings) = std::move(request.stop_strings);
  reply.text_of = [&engine](Token id) { return engine.decode({&id, 1}, true); };
  KAKEYA_ASSIGN(auto answer, service.submit(std::move(out)));
  return std::unique_ptr<Reply>(std::make_unique<AnswerReply>(std::move(answer), std::move(reply)));
}

}  // namespace kakeya::dialog
