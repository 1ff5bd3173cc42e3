#include "cli/tune_prompts.h"

#include <fmt/format.h>
#include <kakeya/chat.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "acceptance/dataset.h"
#include "acceptance/files.h"
#include "acceptance/prompt_style.h"
#include "hub/json_text.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxPromptBytes = std::size_t{64} << 20;

Result<std::vector<Token>> chat_ids(const Engine& engine, const std::string& text) {
  ChatRequest request;
  request.messages.push_back({"user", text, {}, {}});
  if (engine.template_family() == "qwen3") request.enable_thinking = false;
  return engine.encode_chat(request);
}

// The text of one line of the user's file.
Result<std::string> line_text(const std::string& path, std::size_t number, const std::string& line) {
  if (line.front() != '{') return line;
  KAKEYA_ASSIGN(const Json json, hub::parse_json_text(fmt::format("{}: line {}", path, number), line));
  if (json.is_object() && json.contains("prompt") && json["prompt"].is_string()) {
    return json["prompt"].get<std::string>();
  }
  return corrupt_data(
      fmt::format("read {}: line {}: expected a text, or a JSON object with \"prompt\"", path, number));
}

Status add_file(const Engine& engine, const TuneOptions& options, TunePrompts& out) {
  out.source = options.prompts_file;
  KAKEYA_ASSIGN(const std::string text, acceptance::read_whole_file(options.prompts_file, kMaxPromptBytes));
  std::istringstream lines(text);
  std::string line, all;
  for (std::size_t number = 1; std::getline(lines, line) && out.prompts.size() < options.samples; ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    KAKEYA_ASSIGN(const std::string prompt, line_text(options.prompts_file, number, line));
    all += prompt + "\n";
    TunePrompt item{fmt::format("line {}", number), {}};
    KAKEYA_ASSIGN(item.ids, chat_ids(engine, prompt));
    out.prompts.push_back(std::move(item));
  }
  if (out.prompts.empty())
    return corrupt_data(fmt::format("read {}: no prompts, expected one a line", out.source));
  out.sha256 = acceptance::sha256_text(all);
  return {};
}

Status add_embedded(const Engine& engine, const TuneOptions& options, TunePrompts& out) {
  out.source = "embedded: gsm-mini, py-mini";
  acceptance::DatasetOptions from;
  KAKEYA_ASSIGN(from.share_dir, find_share_dir(""));
  from.allow_network = false;
  from.seed = options.seed;
  std::string all;
  for (const char* name : {"gsm-mini", "py-mini"}) {
    from.n_samples = name[0] == 'g' ? options.samples - options.samples / 2 : options.samples / 2;
    if (from.n_samples == 0) continue;
    KAKEYA_ASSIGN(const acceptance::Dataset set, acceptance::load_dataset(name, from));
    for (const acceptance::Problem& problem : set.problems) {
      const acceptance::PromptText text = acceptance::prompt_text(problem, acceptance::PromptStyle::kPlain);
      all += text.text + "\n";
      TunePrompt item{problem.task_id, {}};
      KAKEYA_ASSIGN(item.ids, text.chat ? chat_ids(engine, text.text) : engine.encode(text.text, false));
      out.prompts.push_back(std::move(item));
    }
  }
  out.sha256 = acceptance::sha256_text(all);
  return {};
}

}  // namespace

Result<TunePrompts> load_prompts(const Engine& engine, const TuneOptions& options) {
  TunePrompts out;
  KAKEYA_TRY(options.prompts_file.empty() ? add_embedded(engine, options, out)
                                          : add_file(engine, options, out));
  const std::size_t context = engine.target().max_position_embeddings;
  for (const TunePrompt& prompt : out.prompts) {
    if (prompt.ids.size() + 2 <= context) continue;
    return Error{ErrorCode::kContextOverflow,
                 fmt::format("{}: {} has {} tokens, expected at most {}, two fewer than the context",
                             out.source, prompt.id, prompt.ids.size(), context - 2)};
  }
  return out;
}

}  // namespace kakeya::cli
