// What a request used and how fast it went, as JSON: usage (OpenAI) and timings (llama-server).
#pragma once
#include <vector>

#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve::openai {

// Of all choices of one request; the prompt counts once.
Json usage_json(const std::vector<dialog::Summary>& summaries);
Json usage_json(std::size_t prompt_tokens, std::size_t cached, std::size_t output, std::size_t reasoning);
Json timings_json(const dialog::Summary& summary);
// While it runs: from the counts so far.
Json timings_json(const Usage& usage);
// timings.prompt_progress: how much of the prompt is done.
Json progress_json(const dialog::AnswerPart& part);

// stop, length, tool_calls. `timeout`: the time limit cut it.
const char* finish_name(const dialog::Summary& summary);
std::string fingerprint();

}  // namespace kakeya::serve::openai
