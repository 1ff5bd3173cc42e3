#include "hub/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/sha256.h"
#include "hub/json_text.h"

namespace kakeya::hub {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "kakeya-model-v1";
constexpr std::uint64_t kMaxManifest = std::uint64_t{32} << 20;

Error bad_field(const std::string& path, const char* field) {
  return corrupt_data(fmt::format("read {}: field \"{}\" is missing or wrong", path, field));
}

Result<std::string> text_of(const Json& object, const char* field, const std::string& path) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_string()) return bad_field(path, field);
  return it->get<std::string>();
}

Result<HubFile> parse_file(const Json& item, const std::string& path) {
  if (!item.is_object()) return bad_field(path, "files");
  HubFile file;
  KAKEYA_ASSIGN(file.path, text_of(item, "path", path));
  KAKEYA_ASSIGN(file.sha256, text_of(item, "sha256", path));
  if (item.contains("git_oid")) {
    KAKEYA_ASSIGN(file.git_oid, text_of(item, "git_oid", path));
  }
  const auto size = item.find("size");
  if (size == item.end() || !size->is_number_unsigned()) return bad_field(path, "size");
  file.size = size->get<std::uint64_t>();
  if (!is_safe_path(file.path)) return bad_field(path, "path");
  return file;
}

}  // namespace

std::uint64_t Manifest::bytes() const {
  std::uint64_t sum = 0;
  for (const HubFile& file : files) sum += file.size;
  return sum;
}

std::string manifest_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const HubFile& file : manifest.files) {
    Json item = {{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}};
    if (!file.git_oid.empty()) item["git_oid"] = file.git_oid;
    files.push_back(std::move(item));
  }
  const Json json = {{"format", kFormat},         {"id", manifest.id.text()}, {"revision", manifest.revision},
                     {"commit", manifest.commit}, {"date", manifest.date},    {"snapshot", manifest.snapshot},
                     {"files", std::move(files)}};
  return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> read_manifest(const std::string& path) {
  KAKEYA_ASSIGN(const std::string text, base::read_file(path, kMaxManifest));
  return parse_manifest(text, path);
}

Result<Manifest> parse_manifest(const std::string& text, const std::string& path) {
  KAKEYA_ASSIGN(const Json json, parse_json_text(path, text));
  if (!json.is_object()) return corrupt_data(fmt::format("read {}: not a JSON object", path));
  Manifest manifest;
  KAKEYA_ASSIGN(const std::string format, text_of(json, "format", path));
  if (format != kFormat) return bad_field(path, "format");
  KAKEYA_ASSIGN(const std::string id_text, text_of(json, "id", path));
  const auto id = parse_model_id(id_text);
  if (!id) return bad_field(path, "id");
  manifest.id = *id;
  KAKEYA_ASSIGN(manifest.revision, text_of(json, "revision", path));
  KAKEYA_ASSIGN(manifest.commit, text_of(json, "commit", path));
  KAKEYA_ASSIGN(manifest.date, text_of(json, "date", path));
  KAKEYA_ASSIGN(manifest.snapshot, text_of(json, "snapshot", path));
  if (manifest.snapshot.find('/') != std::string::npos || manifest.snapshot == "..") {
    return bad_field(path, "snapshot");
  }
  const auto files = json.find("files");
  if (files == json.end() || !files->is_array() || files->empty()) return bad_field(path, "files");
  for (const Json& item : *files) {
    KAKEYA_ASSIGN(HubFile file, parse_file(item, path));
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

std::string manifest_name(const ModelId& id) {
  return id.variant.empty() ? "manifest.json" : fmt::format("manifest.{}.json", id.variant);
}

std::string snapshot_name(const ModelId& id, const std::string& commit, const std::vector<HubFile>& files) {
  std::string text = commit + "\n" + id.variant;
  for (const HubFile& file : files) text += "\n" + file.path;
  return fmt::format("{}-{}", commit.substr(0, 12), base::sha256_hex(text).substr(0, 8));
}

}  // namespace kakeya::hub
