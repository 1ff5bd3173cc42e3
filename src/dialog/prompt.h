// A request's messages as ids, and what the output will look like.
#pragma once
#include "dialog/dialog.h"
#include "dialog/output_parser.h"

namespace kakeya::dialog {

struct Prompt {
  std::vector<Token> ids;
  OutputFormat format;
  bool thinking = false;  // the output will hold </think>, if it does not end before
};

// The form of calls that the model's template asks for; nothing where it knows no tools.
std::optional<ToolFormat> tool_format_of(const Engine& engine);

// Errors: kInvalidArgument (role, by its place), those of Engine::encode_chat.
Result<Prompt> build_prompt(const Engine& engine, const DialogRequest& request);

}  // namespace kakeya::dialog
