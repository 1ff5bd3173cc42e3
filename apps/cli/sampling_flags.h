// Flags of sampling, of an answer's length and of its end, for run and chat. What is not given is the model's
// own default.
#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dialog/dialog.h"

namespace kakeya::cli {

struct AnswerFlags {
  dialog::Sampling sampling;
  std::optional<int> max_tokens;
  std::vector<std::string> stop;
  bool thinking = false;
};
void add_answer_flags(CLI::App* command, AnswerFlags& flags);

}  // namespace kakeya::cli
