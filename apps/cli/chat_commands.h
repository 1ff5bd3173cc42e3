// What begins with a slash in `chat`.
#pragma once
#include <string>

#include "cli/chat_session.h"

namespace kakeya::cli {

enum class CommandOutcome { kDone, kFailed, kExit };

// `line` begins with '/'. Prints on stdout, errors on stderr.
CommandOutcome run_chat_command(ChatSession& chat, const std::string& line);

}  // namespace kakeya::cli
