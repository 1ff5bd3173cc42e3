#include "serve/llama/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/openai/prompts.h"
#include "serve/replies.h"

namespace kakeya::serve::llama {
namespace {

constexpr std::size_t kMaxPrompts = 64, kMaxFields = 64, kMaxFiles = 256;
constexpr int kMaxProbabilities = 20;

void read_probabilities(Fields& fields, const Context& context, CompletionCall& out,
                        dialog::DialogRequest& common) {
  const auto n_probs = fields.integer("n_probs", 0, kMaxProbabilities);
  if (n_probs && *n_probs > 0) common.logprobs = static_cast<int>(*n_probs);
  out.post_sampling = fields.boolean("post_sampling_probs", false);
  const float makers = context.engine.sampling_defaults().temperature.value_or(0);
  if (out.post_sampling && common.sampling.temperature.value_or(makers) > 0) {
    fields.refuse("post_sampling_probs",
                  "expected only with temperature 0: probabilities behind the samplers are not computed.");
  }
}

// Everything but the prompt.
dialog::DialogRequest read_common(Fields& fields, const Context& context, CompletionCall& out) {
  dialog::DialogRequest common;
  common.parse_output = false;
  openai::read_generation(fields, context, common, openai::Dialect::kLlama);
  openai::read_format(fields, common);
  apply_defaults(context.options.defaults, common);
  read_probabilities(fields, context, out, common);
  out.n_predict = common.max_tokens.value_or(-1);
  out.n = static_cast<int>(
      fields.integer(fields.find("n_cmpl") != nullptr ? "n_cmpl" : "n", 1, openai::kMaxChoices).value_or(1));
  out.stream = openai::read_stream_options(fields);
  out.return_tokens = fields.boolean("return_tokens", false);
  out.n_keep =
      fields.integer("n_keep", -1).value_or(0);  // a context that is full ends the answer: kept is all
  static_cast<void>(fields.integer("n_discard", 0));
  out.predict_ms = std::max<std::int64_t>(fields.integer("t_max_predict_ms", -1).value_or(0), 0);
  out.response_fields = fields.texts("response_fields", kMaxFields);
  return common;
}

void add_dialogs(Fields& fields, std::vector<std::vector<Token>> prompts, dialog::DialogRequest common,
                 CompletionCall& out) {
  if (prompts.size() * static_cast<std::size_t>(out.n) > kMaxPrompts) {
    fields.fail("n_cmpl", fmt::format("found {} prompts times {}, expected at most {} answers.",
                                      prompts.size(), out.n, kMaxPrompts));
  }
  for (auto& prompt : prompts) {
    common.input = std::move(prompt);
    out.dialogs.push_back(common);
  }
}

void read_files(Fields& fields, openai::FimText& text) {
  const Json* files = fields.array("input_extra");
  if (files == nullptr) return;
  if (files->size() > kMaxFiles) {
    fields.fail("input_extra", fmt::format("found {}, expected at most {}.", files->size(), kMaxFiles));
  }
  for (std::size_t i = 0; i < files->size() && fields.ok(); ++i) {
    if (!(*files)[i].is_object()) {
      return fields.fail("input_extra", fmt::format("[{}]: expected an object.", i));
    }
    Fields file((*files)[i], fmt::format("input_extra[{}].", i));
    const auto content = file.text("text"), name = file.text("filename");
    if (!content) file.fail("text", "expected a text.");
    text.files.emplace_back(name.value_or("tmp"), content.value_or(""));
    fields.merge(file);
  }
}

}  // namespace

std::optional<http::ApiError> read_completion(const Json& body, const Context& context, CompletionCall& out) {
  if (auto error = openai::check_model(body, context)) return error;
  Fields fields(body);
  dialog::DialogRequest common = read_common(fields, context, out);
  auto prompts = openai::read_prompts(fields, "prompt", context, {.at_most = kMaxPrompts, .mixed = true});
  add_dialogs(fields, std::move(prompts), std::move(common), out);
  return fields.error();
}

std::optional<http::ApiError> read_infill(const Json& body, const Context& context, CompletionCall& out) {
  if (auto error = openai::check_model(body, context)) return error;
  Fields fields(body);
  dialog::DialogRequest common = read_common(fields, context, out);
  openai::FimText text;
  for (const char* name : {"input_prefix", "input_suffix"}) {
    const auto given = fields.text(name);
    if (!given) fields.fail(name, "expected a text.");
    (name == std::string_view("input_prefix") ? text.prefix : text.suffix) = given.value_or("");
  }
  text.middle = fields.text("prompt").value_or("");
  read_files(fields, text);
  if (!fields.ok()) return fields.error();
  add_dialogs(fields, {openai::fim_prompt(fields, "input_prefix", context, text)}, std::move(common), out);
  return fields.error();
}

}  // namespace kakeya::serve::llama
