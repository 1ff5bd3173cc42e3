// From what a user wrote ("tiny", a directory, a pair's directory, a GGUF file) to the place of one model.
#pragma once
#include <kakeya/result.h>

#include <string>

namespace kakeya::engine {

enum class Role { kTarget, kDraft };

struct ModelPlace {
  // Last path component of what was named, or "tiny"; of a GGUF file without .gguf and the number of its
  // part.
  std::string id;
  std::string
      directory;  // holds config.json; or the path of a GGUF file, of a split model that of its first part
};

// Errors: kNotFound, kUnsupported (a file of another kind, several GGUF models), each with what was expected
// there.
Result<ModelPlace> find_model(const std::string& name, Role role, const std::string& share_dir);

}  // namespace kakeya::engine
