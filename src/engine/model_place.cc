// Looking for a model: a directory in Hugging Face layout or a GGUF file.
#include "engine/model_place.h"

#include <fmt/format.h>
#include <kakeya/engine.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/split_name.h"
#include "formats/gguf.h"
#include "model/random_weights.h"

namespace kakeya::engine {
namespace {

namespace fs = std::filesystem;

// Models in GGUF files of a directory, by the name of the first file.
std::vector<std::string> gguf_models(const fs::path& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".gguf" && formats::is_gguf_file(it->path().string())) {
      out.push_back(it->path().filename().string());
    }
  }
  std::sort(out.begin(), out.end());
  std::vector<std::string> models;
  for (const base::FileGroup& group : base::group_split_files(out)) models.push_back(group.paths.front());
  return models;
}

// Any part of a split model stands for the first one, if that is there.
ModelPlace place_of_file(const fs::path& named) {
  std::error_code error;
  const std::string first = formats::first_part_of(named.string());
  const fs::path file = fs::exists(first, error) ? fs::path(first) : named;
  const auto split = base::parse_split_name(file.string());
  const std::string name = file.filename().string();
  if (split && split->count > 1) return {fs::path(split->prefix).filename().string(), file.string()};
  return {name.ends_with(".gguf") ? file.stem().string() : name, file.string()};
}

}  // namespace

Result<ModelPlace> find_model(const std::string& name, Role role, const std::string& share_dir) {
  const char* role_name = role == Role::kTarget ? "target" : "draft";
  if (name == "tiny") {
    KAKEYA_ASSIGN(const std::string share, find_share_dir(share_dir));
    return ModelPlace{name, (fs::path(share) / "models" / "tiny" / role_name).string()};
  }
  if (model::is_random_model(name)) {
    KAKEYA_ASSIGN(const model::RandomModel random, model::parse_random_model(name));
    return ModelPlace{random.id, name};
  }
  std::error_code error;
  const fs::path path(name);
  if (!fs::exists(path, error)) {
    return not_found(
        fmt::format("{} model: {} does not exist; expected a GGUF file, a directory in Hugging Face "
                    "layout, or 'tiny', the embedded pair",
                    role_name, name.empty() ? "''" : name));
  }
  if (!fs::is_directory(path, error)) {
    if (formats::is_gguf_file(name)) return place_of_file(path);
    return unsupported(
        fmt::format("{} model: {} is a file, expected a GGUF file or a directory in Hugging Face layout "
                    "(config.json, safetensors)",
                    role_name, name));
  }
  const fs::path clean = fs::absolute(path, error).lexically_normal();
  const std::string id =
      clean.has_filename() ? clean.filename().string() : clean.parent_path().filename().string();
  for (const fs::path& directory : {path, path / role_name}) {
    if (fs::exists(directory / "config.json", error)) return ModelPlace{id, directory.string()};
    const std::vector<std::string> files = gguf_models(directory);
    if (files.size() == 1) return place_of_file(directory / files.front());
    if (files.size() > 1) {
      return unsupported(fmt::format("{} model: {} holds {} GGUF models ({}, {}, ...), expected one: name it",
                                     role_name, directory.string(), files.size(), files[0], files[1]));
    }
  }
  return not_found(fmt::format("{} model: {} has no config.json, no GGUF file and no {} directory with one",
                               role_name, name, role_name));
}

}  // namespace kakeya::engine
