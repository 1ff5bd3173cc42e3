// From what a user calls a model to what Engine::open takes.
#pragma once
#include <kakeya/result.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hub/store.h"

namespace kakeya::hub {

struct Alias {
  const char* name;  // "qwen3-8b"; matched in any case
  const char* id;    // "Qwen/Qwen3-8B"
};
std::span<const Alias> aliases();

// A hub id or an alias of one; nothing for other texts.
std::optional<ModelId> id_of_name(std::string_view name);

struct ResolvedModel {
  std::string path;           // for Engine::open
  std::optional<ModelId> id;  // of a pulled model
};

// In this order: "tiny" and "random:..." as they are; a path that exists; a pulled model by id or alias. A
// text that is none of these and no possible id stays as it is: Engine::open names what is wrong with it.
// Errors: kNotFound with the command that pulls it, kInvalidArgument (several variants), kCorruptData, kIo.
Result<ResolvedModel> resolve_model(const std::string& name, const Store& store);

// The published DFlash draft trained for this target: an id, a directory or a GGUF file, known by its name.
std::optional<ModelId> suggested_draft(std::string_view target);

}  // namespace kakeya::hub
