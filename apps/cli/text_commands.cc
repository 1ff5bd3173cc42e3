// kakeya-llm tokenize, detokenize and render: lines in, lines out.
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/places.h"
#include "hub/json_text.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TextFlags {
  std::string tokenizer;
  bool jsonl = false, plain_special = false, skip_special = false;
};

using LineWork = std::function<Result<std::string>(const TextCodec&, const std::string& line)>;

// Applies `work` to every line of stdin; the first error ends it and names the line.
int each_line(const TextFlags& flags, const LineWork& work) {
  const auto place = resolve_name(flags.tokenizer);
  if (!place.ok()) return fail(place.error());
  const auto codec = TextCodec::open(place->path);
  if (!codec.ok()) return fail(codec.error());
  std::ios::sync_with_stdio(false);
  std::string line;
  for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
    if (flags.jsonl && line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto out = work(**codec, line);
    if (!out.ok()) {
      std::cout.flush();
      Error error = out.error();
      error.message = fmt::format("stdin, line {}: {}", number, error.message);
      return fail(error);
    }
    std::cout << *out << '\n';
    if (!std::cout) return fail(io_error("stdout: cannot write"));
  }
  std::cout.flush();
  return std::cout ? kOk : fail(io_error("stdout: cannot write"));
}

// Errors: kCorruptData (exit code 1): the data on stdin is wrong, not the flags.
Result<Json> parse_line(const std::string& line) { return hub::parse_json_text("JSON", line); }

Result<std::string> tokenize_line(const TextCodec& codec, const std::string& line, const TextFlags& flags) {
  std::string text = line;
  bool parse_special = !flags.plain_special;
  if (flags.jsonl) {
    KAKEYA_ASSIGN(const Json object, parse_line(line));
    if (!object.is_object() || !object.contains("text") || !object["text"].is_string()) {
      return corrupt_data("expected an object with a string 'text'");
    }
    text = object["text"].get<std::string>();
    if (const auto flag = object.find("parse_special"); flag != object.end() && !flag->is_null()) {
      if (!flag->is_boolean()) return corrupt_data("'parse_special' is not a boolean");
      parse_special = flag->get<bool>();
    }
  }
  KAKEYA_ASSIGN(const auto ids, codec.encode(text, parse_special));
  return Json(ids).dump();
}

Result<std::string> detokenize_line(const TextCodec& codec, const std::string& line, const TextFlags& flags) {
  KAKEYA_ASSIGN(Json value, parse_line(line));
  if (value.is_object() && value.contains("ids")) value = Json(value["ids"]);
  if (!value.is_array()) return corrupt_data("expected an array of token ids");
  std::vector<Token> ids;
  for (const Json& id : value) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > INT32_MAX) {
      return corrupt_data(fmt::format("entry {} is {}, expected a token id", ids.size(),
                                      id.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40)));
    }
    ids.push_back(id.get<Token>());
    // An entry of the vocabulary stands for one byte at least.
    if (codec.decode({&ids.back(), 1}, false).empty()) {
      return corrupt_data(
          fmt::format("entry {} is {}, expected an id of this tokenizer", ids.size() - 1, ids.back()));
    }
  }
  const std::string text = codec.decode(ids, flags.skip_special);
  if (!flags.jsonl) return text;
  return Json({{"text", text}}).dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<std::string> render_line(const TextCodec& codec, const std::string& line) {
  KAKEYA_ASSIGN(const ChatRequest request, parse_chat_request(line));
  KAKEYA_ASSIGN(const std::string text, codec.render_chat(request));
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

CLI::App* add_line_command(CLI::App& app, const std::string& name, const std::string& what,
                           const std::string& examples, TextFlags& flags) {
  CLI::App* command = add_command(app, name, what, examples);
  command->add_option("--tokenizer", flags.tokenizer, "directory, tokenizer.json or tokenizer.json.gz")
      ->required();
  return command;
}

}  // namespace

void add_tokenize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<TextFlags>();
  CLI::App* command =
      add_line_command(app, "tokenize", "Lines of text on stdin -> one JSON array of token ids a line",
                       "  echo 'Hello there' | kakeya-llm tokenize --tokenizer ./Qwen3-8B\n"
                       "  kakeya-llm tokenize --tokenizer ./Qwen3-8B --jsonl < texts.jsonl",
                       *flags);
  command->add_flag("--jsonl", flags->jsonl, "lines are objects {\"text\": ..., \"parse_special\": true}");
  command->add_flag("--plain-special", flags->plain_special,
                    "treat special tokens in the text as ordinary text");
  on_run(command, context, [flags] {
    return each_line(*flags, [&](const TextCodec& codec, const std::string& line) {
      return tokenize_line(codec, line, *flags);
    });
  });
}

void add_detokenize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<TextFlags>();
  CLI::App* command =
      add_line_command(app, "detokenize", "JSON arrays of token ids on stdin, one a line -> their text",
                       "  echo '[9707, 1052]' | kakeya-llm detokenize --tokenizer ./Qwen3-8B\n"
                       "  kakeya-llm detokenize --tokenizer ./Qwen3-8B --jsonl < ids.jsonl",
                       *flags);
  command->add_flag(
      "--jsonl", flags->jsonl,
      "print objects {\"text\": ...}, one a line, so that line breaks in the text stay apart; lines may "
      "also be objects {\"ids\": [...]}");
  command->add_flag("--skip-special", flags->skip_special, "leave special tokens out");
  on_run(command, context, [flags] {
    return each_line(*flags, [&](const TextCodec& codec, const std::string& line) {
      return detokenize_line(codec, line, *flags);
    });
  });
}

void add_render(CLI::App& app, Context& context) {
  auto flags = std::make_shared<TextFlags>();
  flags->jsonl = true;
  CLI::App* command = add_line_command(
      app, "render",
      "Chat requests on stdin, one JSON object a line -> the prompt text as a JSON string a line",
      "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"add_generation_prompt\": true}' "
      "|\n"
      "    kakeya-llm render --tokenizer ./Qwen3-8B --jsonl",
      *flags);
  command->add_flag(
      "--jsonl", flags->jsonl,
      "the only form there is: objects {messages, tools, add_generation_prompt, enable_thinking}");
  on_run(command, context, [flags] {
    return each_line(
        *flags, [](const TextCodec& codec, const std::string& line) { return render_line(codec, line); });
  });
}

}  // namespace kakeya::cli
