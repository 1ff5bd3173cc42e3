// The served model as Ollama's lists describe one: /api/tags, /api/ps, /api/show.
#pragma once
#include <nlohmann/json.hpp>

#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve::ollama {

// The version of Ollama's API that these routes follow; clients choose features by it.
inline constexpr const char* kApiVersion = "0.12.11";

Json tags(const Context& context);
Json running(const Context& context);
Json show(const Context& context);
// The model's tokens for filling in between two texts are there.
bool can_infill(const Engine& engine);

}  // namespace kakeya::serve::ollama
