// Ollama's /api/chat and /api/generate bodies -> a dialog request. Nothing here talks to a model.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "dialog/dialog.h"
#include "serve/http/message.h"
#include "serve/json.h"

namespace kakeya::serve::ollama {

struct Call {
  dialog::DialogRequest request;
  std::string model;       // as the client wrote it
  bool stream = true;      // Ollama's default
  bool generate = false;   // answers carry "response" instead of "message"
  bool load_only = false;  // without messages or prompt: the answer says that the model is there
  // /api/generate, where the prompt is not a chat: text around which tokens are still to be made.
  struct Raw {
    std::string prompt, suffix;
    bool infill = false;  // fill between prompt and suffix
  };
  std::optional<Raw> raw;
  Json switches;  // "kakeya" as it came; null without
};

std::variant<Call, http::ApiError> read_chat(std::string_view body);
std::variant<Call, http::ApiError> read_generate(std::string_view body);

}  // namespace kakeya::serve::ollama
