#include "serve/openai/completion_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/openai/prompts.h"

namespace kakeya::serve::openai {
namespace {

constexpr std::size_t kMaxPrompts = 64;
constexpr int kDefaultTokens = 16, kMaxLogprobs = 5;

std::vector<std::vector<Token>> prompts_of(Fields& fields, const Context& context) {
  const auto suffix = fields.text("suffix");
  if (!suffix || suffix->empty()) {
    return read_prompts(fields, "prompt", context, {.at_most = kMaxPrompts});
  }
  FimText text;
  text.prefix = fields.text("prompt").value_or("");
  text.suffix = *suffix;
  return {fim_prompt(fields, "suffix", context, text)};
}

}  // namespace

std::optional<http::ApiError> read_completion(const Json& body, const Context& context, CompletionCall& out) {
  if (auto error = check_model(body, context)) return error;
  Fields fields(body);
  dialog::DialogRequest common;
  common.parse_output = false;
  read_generation(fields, context, common, Dialect::kCompletion);
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
  if (echo && out.logprobs >= 0) common.prompt_logprobs = out.logprobs;
  if (!echo && common.max_tokens == 0) {
    fields.fail("max_tokens", "found 0, expected at least 1, or echo: true with it.");
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
