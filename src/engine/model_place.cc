// Looking for a model directory.
#include "engine/model_place.h"

#include <fmt/format.h>
#include <kakeya/engine.h>

#include <filesystem>

namespace kakeya::engine {
namespace {
namespace fs = std::filesystem;
}

Result<ModelPlace> find_model(const std::string& name, Role role, const std::string& share_dir) {
  const char* role_name = role == Role::kTarget ? "target" : "draft";
  if (name == "tiny") {
    KAKEYA_ASSIGN(const std::string share, find_share_dir(share_dir));
    return ModelPlace{name, (fs::path(share) / "models" / "tiny" / role_name).string()};
  }
  std::error_code error;
  const fs::path path(name);
  if (!fs::exists(path, error)) {
    return not_found(
        fmt::format("{} model: {} does not exist; expected a directory in Hugging Face layout, or 'tiny', "
                    "the embedded pair",
                    role_name, name.empty() ? "''" : name));
  }
  if (!fs::is_directory(path, error)) {
    return unsupported(
        fmt::format("{} model: {} is a file, expected a directory in Hugging Face layout "
                    "(config.json, safetensors)",
                    role_name, name));
  }
  const fs::path clean = fs::absolute(path, error).lexically_normal();
  const std::string id =
      clean.has_filename() ? clean.filename().string() : clean.parent_path().filename().string();
  if (fs::exists(path / "config.json", error)) return ModelPlace{id, path.string()};
  if (fs::exists(path / role_name / "config.json", error)) return ModelPlace{id, (path / role_name).string()};
  return not_found(
      fmt::format("{} model: {} has no config.json and no {}/config.json", role_name, name, role_name));
}

}  // namespace kakeya::engine
