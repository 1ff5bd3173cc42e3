#include "hub/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/split_name.h"
#include "hub/file_choice.h"
#include "hub/lock_file.h"
#include "hub/store_files.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPartial = ".partial";

// First files of the GGUF models among the files; of one quantisation when it is named.
std::vector<std::string> gguf_models(const Manifest& manifest, const std::string& quant) {
  std::vector<std::string> paths, out;
  for (const HubFile& file : manifest.files) {
    if (file.path.ends_with(".gguf") && (quant.empty() || is_of_quant(file.path, quant))) {
      paths.push_back(file.path);
    }
  }
  for (const base::FileGroup& group : base::group_split_files(paths)) out.push_back(group.paths.front());
  return out;
}

bool is_manifest(const std::string& name) {
  return name.rfind("manifest.", 0) == 0 && name.size() > 5 && name.compare(name.size() - 5, 5, ".json") == 0;
}

// "Q4_K_M" of "manifest.Q4_K_M.json", "" of "manifest.json".
std::string variant_of(const std::string& name) {
  constexpr std::size_t kBegin = 9, kEnd = 5;  // "manifest.", ".json"
  return name.size() > kBegin + kEnd ? name.substr(kBegin, name.size() - kBegin - kEnd) : std::string();
}

Result<std::vector<std::string>> manifest_names(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (is_manifest(it->path().filename().string())) out.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return io_error(fmt::format("read {}: {}", directory, error.message()));
  }
  return out;
}

Error no_such_model(const ModelId& id, const std::string& root) {
  return not_found(fmt::format("rm {}: no such model in {}", id.text(), root));
}

}  // namespace

std::string Store::directory(const ModelId& id) const {
  return (fs::path(root_) / "models" / id.org / id.repo).string();
}
std::string Store::manifest_path(const ModelId& id) const { return directory(id) + "/" + manifest_name(id); }
std::string Store::lock_path(const ModelId& id) const { return directory(id) + "/.lock"; }

std::string Store::files_directory(const Manifest& manifest) const {
  return (fs::path(directory(manifest.id)) / manifest.snapshot / manifest.id.repo).string();
}

std::string Store::partial_directory(const ModelId& id, const std::string& snapshot) const {
  return (fs::path(directory(id)) / kPartial / snapshot).string();
}

std::string Store::model_path(const Manifest& manifest, const std::string& quant) const {
  const std::vector<std::string> models = gguf_models(manifest, manifest.id.variant.empty() ? quant : "");
  const bool has_config = std::any_of(manifest.files.begin(), manifest.files.end(),
                                      [](const HubFile& file) { return file.path == "config.json"; });
  if (models.size() != 1 || (has_config && quant.empty())) return files_directory(manifest);
  return files_directory(manifest) + "/" + models.front();
}

Result<Manifest> Store::find(const ModelId& id) const {
  const auto manifest = read_manifest(manifest_path(id));
  if (manifest.ok() && manifest->id != id) {
    return corrupt_data(fmt::format("read {}: found the model {}, expected {}", manifest_path(id),
                                    manifest->id.text(), id.text()));
  }
  return manifest;
}

Result<std::vector<Manifest>> Store::manifests_in(const std::string& directory) const {
  std::vector<Manifest> out;
  KAKEYA_ASSIGN(const std::vector<std::string> names, manifest_names(directory));
  for (const std::string& name : names) {
    KAKEYA_ASSIGN(Manifest manifest, read_manifest(directory + "/" + name));
    out.push_back(std::move(manifest));
  }
  std::sort(out.begin(), out.end(),
            [](const Manifest& a, const Manifest& b) { return a.id.text() < b.id.text(); });
  return out;
}

Result<Manifest> Store::find_any(const ModelId& id) const {
  auto exact = find(id);
  if (exact.ok() || exact.error().code != ErrorCode::kNotFound) return exact;
  KAKEYA_ASSIGN(const std::vector<Manifest> all, manifests_in(directory(id)));
  std::vector<Manifest> fitting;
  for (const Manifest& manifest : all) {
    // A repository with one GGUF model, or some taken by patterns, is pulled without a variant; the
    // quantisation is a name for such a model too.
    const bool named = manifest.id.variant.empty() && gguf_models(manifest, id.variant).size() == 1;
    if (id.variant.empty() || named) fitting.push_back(manifest);
  }
  if (fitting.size() == 1) return fitting.front();
  if (fitting.empty()) return exact;
  std::string names;
  for (const Manifest& manifest : fitting) names += (names.empty() ? "" : ", ") + manifest.id.text();
  return invalid_argument(fmt::format("model {}: found {} of it ({}), expected one to be named", id.text(),
                                      fitting.size(), names));
}

Status Store::list_repository(const std::string& directory, const ModelId& id,
                              std::vector<Entry>& out) const {
  KAKEYA_ASSIGN(const std::vector<std::string> names, manifest_names(directory));
  std::vector<Entry> found;
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    const auto manifest = read_manifest(path);
    if (manifest.ok()) {
      found.push_back({*manifest, model_path(*manifest), weight_type(*manifest, files_directory(*manifest)),
                       true, manifest->bytes(), ""});
      continue;
    }
    Entry broken{Manifest{}, path, "", false, 0, manifest.error().message};
    broken.manifest.id = id;
    broken.manifest.id.variant = variant_of(name);
    found.push_back(std::move(broken));
  }
  std::sort(found.begin(), found.end(),
            [](const Entry& a, const Entry& b) { return a.manifest.id.text() < b.manifest.id.text(); });
  out.insert(out.end(), found.begin(), found.end());
  for (const Partial& partial : partials_of(id)) {
    const std::string path = partial_directory(id, partial.snapshot);
    out.push_back({partial.planned, path, partial.planned.id.variant, false, bytes_below(path), ""});
  }
  return {};
}

std::vector<Store::Partial> Store::partials_of(const ModelId& id) const {
  std::vector<Partial> out;
  const auto names = directories_in(partial_directory(id, ""));
  if (!names.ok()) return out;
  for (const std::string& name : *names) {
    auto planned = read_manifest(partial_directory(id, name) + "/" + kPlanName);
    if (planned.ok()) out.push_back({name, std::move(*planned)});
  }
  return out;
}

Result<std::vector<Store::Entry>> Store::list() const {
  std::vector<Entry> out;
  const std::string models = (fs::path(root_) / "models").string();
  KAKEYA_ASSIGN(const std::vector<std::string> orgs, directories_in(models));
  for (const std::string& org : orgs) {
    KAKEYA_ASSIGN(const std::vector<std::string> repos, directories_in(models + "/" + org));
    for (const std::string& repo : repos) {
      const auto id = parse_model_id(org + "/" + repo);
      if (id) KAKEYA_TRY(list_repository(directory(*id), *id, out));
    }
  }
  return out;
}

Status Store::check_place(const ModelId& id) const {
  std::error_code error;
  const fs::path models = fs::weakly_canonical(fs::path(root_) / "models", error);
  const fs::path place = fs::weakly_canonical(directory(id), error);
  if (error || place != models / id.org / id.repo) {
    return io_error(fmt::format("rm {}: {} leads out of the store ({}), expected a directory in it",
                                id.text(), directory(id), place.string()));
  }
  return fs::is_directory(place, error) ? Status() : no_such_model(id, root_);
}

Result<std::optional<ModelId>> Store::removable(const ModelId& id) const {
  KAKEYA_TRY(check_place(id));
  auto manifest = find(id);
  if (!manifest.ok() && manifest.error().code == ErrorCode::kCorruptData) return std::optional(id);
  if (!manifest.ok()) manifest = find_any(id);
  if (manifest.ok()) return std::optional(manifest->id);
  if (manifest.error().code != ErrorCode::kNotFound) return manifest.error();
  const auto partials = partials_of(id);
  const bool begun =
      std::ranges::any_of(partials, [&](const Partial& partial) { return partial.planned.id == id; });
  if (!begun) return no_such_model(id, root_);
  return std::optional<ModelId>();
}

Status Store::remove(const ModelId& id) const {
  KAKEYA_TRY(check_place(id));  // before a lock is put there
  KAKEYA_ASSIGN(const LockFile lock, LockFile::take(lock_path(id)));
  KAKEYA_ASSIGN(const std::optional<ModelId> complete, removable(id));
  std::error_code error;
  // The manifest first: without it the model is gone, whatever happens to the rest.
  if (complete && !fs::remove(manifest_path(*complete), error)) {
    return io_error(fmt::format("remove {}: {}", manifest_path(*complete), error.message()));
  }
  KAKEYA_TRY(collect_garbage(id, ""));
  KAKEYA_ASSIGN(const std::vector<std::string> left, manifest_names(directory(id)));
  if (!left.empty() || !partials_of(id).empty()) return {};
  const fs::path place = directory(id);
  fs::remove_all(place, error);
  if (error) return io_error(fmt::format("remove {}: {}", place.string(), error.message()));
  fs::remove(place.parent_path(), error);  // the organisation, when it is empty
  return {};
}

Status Store::collect_garbage(const ModelId& id, const std::string& keep_partial) const {
  const std::string place = directory(id);
  KAKEYA_ASSIGN(const std::vector<std::string> names, manifest_names(place));
  KAKEYA_ASSIGN(const std::vector<std::string> found, directories_in(place));
  std::set<std::string> used = {kPartial};
  for (const std::string& name : names) {
    const auto manifest = read_manifest(place + "/" + name);
    if (manifest.ok()) used.insert(manifest->snapshot);
    // What a damaged one names is not known: every snapshot stays until it is removed or pulled again.
    if (!manifest.ok()) used.insert(found.begin(), found.end());
  }
  std::error_code error;
  for (const std::string& name : found) {
    if (!used.contains(name)) fs::remove_all(fs::path(place) / name, error);
    if (error) return io_error(fmt::format("remove {}/{}: {}", place, name, error.message()));
  }
  // Of pulls that were killed while they wrote a manifest.
  for (fs::directory_iterator it(place, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (name.rfind("manifest.", 0) == 0 && name.find(".json.tmp.") != std::string::npos) {
      fs::remove(it->path(), ignored);
    }
  }
  for (const Partial& partial : partials_of(id)) {
    if (partial.planned.id != id || partial.snapshot == keep_partial) continue;
    const std::string path = partial_directory(id, partial.snapshot);
    fs::remove_all(path, error);
    if (error) return io_error(fmt::format("remove {}: {}", path, error.message()));
  }
  fs::remove(fs::path(place) / kPartial, error);  // when it is empty
  return {};
}

}  // namespace kakeya::hub
