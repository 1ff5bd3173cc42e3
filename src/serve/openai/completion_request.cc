#include "serve/openai/completion_request.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve::openai {
namespace {

constexpr std::size_t kMaxPrompts = 64;
constexpr int kDefaultTokens = 16, kMaxLogprobs = 5;
// Fill-in-the-middle marks of Qwen's, StarCoder's and others' coder models.
constexpr std::array<const char*, 3> kFim = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"};

bool all_tokens(const Json& value) {
  for (const Json& item : value) {
    if (!item.is_number_integer()) return false;
  }
  return !value.empty();
}

std::vector<Token> one_prompt(Fields& fields, const char* name, const Json& value, const Context& context,
                              bool parse_special) {
  std::vector<Token> ids;
  if (value.is_string()) {
    auto encoded = context.engine.encode(value.get_ref<const std::string&>(), parse_special);
    if (!encoded.ok()) {
      fields.fail(api_error(encoded.error(), false));
      return {};
    }
    ids = std::move(*encoded);
  } else if (value.is_array() && all_tokens(value)) {
    for (const Json& item : value) {
      const auto id = item.get<std::int64_t>();
      if (id < 0 || id >= static_cast<std::int64_t>(context.engine.target().vocab_size)) {
        fields.fail(name, fmt::format("found the token {}, expected ids below {}.", id,
                                      context.engine.target().vocab_size));
        return {};
      }
      ids.push_back(static_cast<Token>(id));
    }
  } else {
    fields.fail(name,
                fmt::format("found {}, expected a text, token ids, or an array of either.", describe(value)));
    return {};
  }
  if (ids.empty()) fields.fail(name, "found nothing, expected at least one token.");
  return ids;
}

std::vector<Token> fim_prompt(Fields& fields, const Context& context, const std::string& prefix,
                              const std::string& suffix) {
  std::array<Token, kFim.size()> marks{};
  for (std::size_t i = 0; i < kFim.size(); ++i) {
    const auto ids = context.engine.encode(kFim[i], true);
    if (!ids.ok() || ids->size() != 1) {
      fields.refuse("suffix", "this model has no fill-in-the-middle tokens.");
      return {};
    }
    marks[i] = ids->front();
  }
  const auto before = context.engine.encode(prefix, false), after = context.engine.encode(suffix, false);
  if (!before.ok() || !after.ok()) {
    fields.fail(api_error((before.ok() ? after : before).error(), false));
    return {};
  }
  std::vector<Token> ids = {marks[0]};
  ids.insert(ids.end(), before->begin(), before->end());
  ids.push_back(marks[1]);
  ids.insert(ids.end(), after->begin(), after->end());
  ids.push_back(marks[2]);
  return ids;
}

std::vector<std::vector<Token>> prompts_of(Fields& fields, const Context& context) {
  const auto suffix = fields.text("suffix");
  if (!suffix || suffix->empty()) return read_prompts(fields, "prompt", kMaxPrompts, context, true);
  const auto prefix = fields.text("prompt");
  return {fim_prompt(fields, context, prefix.value_or(""), *suffix)};
}

}  // namespace

std::vector<std::vector<Token>> read_prompts(Fields& fields, const char* name, std::size_t at_most,
                                             const Context& context, bool parse_special) {
  const Json* value = fields.find(name);
  std::vector<std::vector<Token>> prompts;
  if (value == nullptr) {
    fields.fail(name, "expected a text, token ids, or an array of either.");
    return prompts;
  }
  if (!value->is_array() || all_tokens(*value)) {
    prompts.push_back(one_prompt(fields, name, *value, context, parse_special));
    return prompts;
  }
  if (value->empty() || value->size() > at_most) {
    fields.fail(name, fmt::format("found {} of them, expected 1 to {}.", value->size(), at_most));
    return prompts;
  }
  for (const Json& item : *value) {
    if (fields.ok()) prompts.push_back(one_prompt(fields, name, item, context, parse_special));
  }
  return prompts;
}

std::optional<http::ApiError> read_completion(const Json& body, const Context& context, CompletionCall& out) {
  if (auto error = check_model(body, context)) return error;
  Fields fields(body);
  dialog::DialogRequest common;
  common.parse_output = false;
  read_generation(fields, context, common);
  read_format(fields, common);
  if (!common.max_tokens) common.max_tokens = kDefaultTokens;
  if (const auto logprobs = fields.integer("logprobs", 0, kMaxLogprobs)) {
    out.logprobs = common.logprobs = static_cast<int>(*logprobs);
  }
  out.n = static_cast<int>(fields.integer("n", 1, kMaxChoices).value_or(1));
  const auto best_of = fields.integer("best_of", 1);
  if (best_of && *best_of != out.n) {
    fields.refuse("best_of",
                  fmt::format("found {}, expected n ({}): answers are not ranked.", *best_of, out.n));
  }
  const bool echo = fields.boolean("echo", false);
  if (echo && out.logprobs >= 0) {
    fields.refuse("echo", "expected no logprobs with it: those of a prompt are not computed.");
  }
  out.stream = read_stream_options(fields);
  auto prompts = prompts_of(fields, context);
  if (prompts.size() * static_cast<std::size_t>(out.n) > kMaxPrompts) {
    fields.fail("n", fmt::format("found {} prompts times {}, expected at most {} answers.", prompts.size(),
                                 out.n, kMaxPrompts));
  }
  for (auto& prompt : prompts) {
    out.echoes.push_back(echo ? context.engine.decode(prompt, false) : "");
    common.input = std::move(prompt);
    out.dialogs.push_back(common);
  }
  return fields.error();
}

}  // namespace kakeya::serve::openai
