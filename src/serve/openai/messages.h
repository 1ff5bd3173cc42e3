// OpenAI's messages -> the template's. Also the items of the Responses API, which some clients send to
// chat/completions.
#pragma once
#include <kakeya/chat.h>

#include <string>
#include <vector>

#include "serve/json.h"

namespace kakeya::serve::openai {

// Roles system, developer (as system), user, assistant, tool, function (as tool). Parts of a content are
// joined; images, audio and files are refused by name.
void read_messages(const Json& messages, const std::string& where, Fields& fields,
                   std::vector<ChatMessage>& out);
// `input` of the Responses API: a text, or messages, function calls and their outputs. Reasoning items are
// left out: the template drops what was thought in earlier turns.
void read_input(const Json& input, const std::string& where, Fields& fields, std::vector<ChatMessage>& out);
// A string, null, or an array of text parts.
std::string read_content(const Json& content, const std::string& where, Fields& fields);
// Arguments as clients send them back: a JSON text or an object -> ToolCall::arguments_json. A custom tool's
// input is the one argument "input".
std::string arguments_text(const Json* arguments);
std::string custom_arguments(const std::string& input);

}  // namespace kakeya::serve::openai
