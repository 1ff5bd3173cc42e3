// From what a user wrote ("tiny", a directory, a pair's directory) to the directory of one model.
#pragma once
#include <kakeya/result.h>

#include <string>

namespace kakeya::engine {

enum class Role { kTarget, kDraft };

struct ModelPlace {
  std::string id;         // last path component of what was named, or "tiny"
  std::string directory;  // holds config.json
};

// Errors: kNotFound, kUnsupported (a file), each with what was expected there.
Result<ModelPlace> find_model(const std::string& name, Role role, const std::string& share_dir);

}  // namespace kakeya::engine
