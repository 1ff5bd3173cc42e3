#include "serve/openai/prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "serve/failures.h"

namespace kakeya::serve::openai {
namespace {

// A text as part of a prompt: what models put before every text stands at the prompt's beginning alone.
void append_text(Fields& fields, const Context& context, const std::string& text, bool parse_special,
                 std::vector<Token>& ids) {
  const auto part = context.engine.encode(text, parse_special), lead = context.engine.encode("", false);
  if (!part.ok()) return fields.fail(api_error(part.error(), false));
  const bool repeated = !ids.empty() && lead.ok() && !lead->empty() && part->size() >= lead->size() &&
                        std::equal(lead->begin(), lead->end(), part->begin());
  ids.insert(ids.end(), part->begin() + (repeated ? static_cast<std::ptrdiff_t>(lead->size()) : 0),
             part->end());
}

void append_id(Fields& fields, const char* name, const Context& context, const Json& value,
               std::vector<Token>& ids) {
  const auto id = value.get<std::int64_t>();
  const std::size_t vocab = context.engine.target().vocab_size;
  if (id < 0 || id >= static_cast<std::int64_t>(vocab)) {
    return fields.fail(name, fmt::format("found the token {}, expected ids below {}.", id, vocab));
  }
  ids.push_back(static_cast<Token>(id));
}

// The text of {"prompt_string": TEXT} or {"content": [{"type": "text", "text": TEXT}, ...]}.
std::string object_text(Fields& fields, const char* name, const Json& value) {
  Fields prompt(value, std::string(name) + ".");
  std::string text = prompt.text("prompt_string").value_or("");
  if (const Json* media = prompt.find("multimodal_data"); media != nullptr && !media->empty()) {
    prompt.refuse("multimodal_data", "this server takes no images and no audio.");
  }
  const Json* parts = prompt.array("content");
  for (std::size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
    const Json& part = (*parts)[i];
    if (!part.is_object() || part.value("type", Json()) != "text" ||
        !part.value("text", Json()).is_string()) {
      prompt.refuse("content", fmt::format("[{}]: expected a part of type text.", i));
      break;
    }
    text += part["text"].get<std::string>();
  }
  if (value.find("prompt_string") == value.end() && parts == nullptr) {
    prompt.fail("prompt_string", "expected a text.");
  }
  fields.merge(prompt);
  return text;
}

bool all_tokens(const Json& value) {
  return !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_number_integer(); });
}

// One prompt rather than several: numbers, or numbers among texts.
bool one_sequence(const Json& value, bool mixed) {
  if (all_tokens(value)) return true;
  const auto number = [](const Json& item) { return item.is_number_integer(); };
  const auto part = [](const Json& item) { return item.is_number_integer() || item.is_string(); };
  return mixed && std::any_of(value.begin(), value.end(), number) &&
         std::all_of(value.begin(), value.end(), part);
}

std::vector<Token> one_prompt(Fields& fields, const char* name, const Json& value, const Context& context,
                              const PromptRules& rules) {
  std::vector<Token> ids;
  if (value.is_string()) {
    append_text(fields, context, value.get<std::string>(), rules.parse_special, ids);
  } else if (value.is_array() && one_sequence(value, rules.mixed)) {
    for (const Json& item : value) {
      if (!fields.ok()) break;
      if (item.is_string()) {
        append_text(fields, context, item.get<std::string>(), rules.parse_special, ids);
      } else {
        append_id(fields, name, context, item, ids);
      }
    }
  } else if (value.is_object() && rules.mixed) {
    append_text(fields, context, object_text(fields, name, value), rules.parse_special, ids);
  } else {
    fields.fail(name,
                fmt::format("found {}, expected a text, token ids, or an array of either.", describe(value)));
    return {};
  }
  if (ids.empty()) fields.fail(name, "found nothing, expected at least one token.");
  return ids;
}

// Marks of prefix, suffix and middle, of a repository's name and of a file's; the last two may be missing.
struct FimMarks {
  std::array<const char*, 3> parts;
  const char *repository, *file;
};
constexpr std::array<FimMarks, 3> kFim = {{
    {{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}, "<|repo_name|>", "<|file_sep|>"},  // Qwen
    {{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}, "<repo_name>", "<file_sep>"},            // StarCoder2
    {{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}, "", ""},                           // DeepSeek
}};

std::optional<Token> special(const Context& context, const char* name) {
  if (*name == '\0') return {};
  const auto ids = context.engine.encode(name, true), lead = context.engine.encode("", false);
  if (!ids.ok() || !lead.ok() || ids->size() != lead->size() + 1) return {};
  // A token of several bytes that spells the whole name.
  return context.engine.token_bytes(ids->back()) == name ? std::optional(ids->back()) : std::nullopt;
}

void append_files(Fields& fields, const Context& context, const FimMarks& marks, const FimText& text,
                  std::vector<Token>& ids) {
  const auto repository = special(context, marks.repository), file = special(context, marks.file);
  if (text.files.empty()) return;
  if (repository && file) {
    ids.push_back(*repository);
    append_text(fields, context, "repository\n", false, ids);
  }
  for (const auto& [name, content] : text.files) {
    if (file) ids.push_back(*file);
    append_text(fields, context, (file ? name + "\n" : std::string()) + content, false, ids);
  }
  if (!file) return;
  ids.push_back(*file);
  append_text(fields, context, "file\n", false, ids);
}

}  // namespace

std::vector<std::vector<Token>> read_prompts(Fields& fields, const char* name, const Context& context,
                                             const PromptRules& rules) {
  const Json* value = fields.find(name);
  std::vector<std::vector<Token>> prompts;
  if (value == nullptr) {
    fields.fail(name, "expected a text, token ids, or an array of either.");
    return prompts;
  }
  if (!value->is_array() || one_sequence(*value, rules.mixed)) {
    prompts.push_back(one_prompt(fields, name, *value, context, rules));
    return prompts;
  }
  if (value->empty() || value->size() > rules.at_most) {
    fields.fail(name, fmt::format("found {} of them, expected 1 to {}.", value->size(), rules.at_most));
    return prompts;
  }
  for (const Json& item : *value) {
    if (fields.ok()) prompts.push_back(one_prompt(fields, name, item, context, rules));
  }
  return prompts;
}

std::vector<Token> fim_prompt(Fields& fields, const char* name, const Context& context, const FimText& text) {
  for (const FimMarks& marks : kFim) {
    std::array<std::optional<Token>, 3> known;
    std::transform(marks.parts.begin(), marks.parts.end(), known.begin(),
                   [&](const char* mark) { return special(context, mark); });
    if (!known[0] || !known[1] || !known[2]) continue;
    std::vector<Token> ids;
    if (const auto lead = context.engine.encode("", false); lead.ok()) ids = *lead;
    append_files(fields, context, marks, text, ids);
    ids.push_back(*known[0]);
    append_text(fields, context, text.prefix, false, ids);
    ids.push_back(*known[1]);
    append_text(fields, context, text.suffix, false, ids);
    ids.push_back(*known[2]);
    append_text(fields, context, text.middle, false, ids);
    return ids;
  }
  fields.refuse(name, "this model has no fill-in-the-middle tokens.");
  return {};
}

}  // namespace kakeya::serve::openai
