#include "acceptance/result_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "hub/json_text.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kPrefix = "b2-dflash-kakeya-v";
constexpr int kMajor = 1;
constexpr std::size_t kMaxBytes = std::size_t{1} << 30;

}  // namespace

Status check_schema(const std::string& schema) {
  const std::string prefix = kPrefix;
  const Error refused = unsupported(fmt::format("schema: found '{}', expected {}{}", schema, prefix, kMajor));
  if (schema.compare(0, prefix.size(), prefix) != 0) return refused;
  const std::string major = schema.substr(prefix.size(), schema.find('.', prefix.size()) - prefix.size());
  if (major != std::to_string(kMajor)) return refused;
  return {};
}

Result<ResultFile> read_result_file(const std::string& path, Json& identity) {
  KAKEYA_ASSIGN(const std::string content, read_whole_file(path, kMaxBytes));
  KAKEYA_ASSIGN(const Json json, hub::parse_json_text(path, content));
  if (!json.is_object()) return corrupt_data(fmt::format("read {}: not a JSON object", path));
  const auto field = [&](const char* name) { return json.contains(name) ? json.at(name) : Json(nullptr); };
  if (!field("schema").is_string()) return corrupt_data(fmt::format("read {}: no schema", path));
  if (const Status status = check_schema(field("schema").get<std::string>()); !status.ok()) {
    return unsupported(fmt::format("read {}: {}", path, status.error().message));
  }
  if (!field("engine").is_string())
    return corrupt_data(fmt::format("read {}: engine: expected a text", path));
  if (!field("records").is_array())
    return corrupt_data(fmt::format("read {}: records: expected an array", path));
  identity = field("identity");

  ResultFile file;
  file.engine = field("engine").get<std::string>();
  for (const Json& entry : json.at("records")) {
    Result<Record> record = record_from_json(entry);
    if (!record.ok()) {
      return corrupt_data(
          fmt::format("read {}: record {}: {}", path, file.records.size(), record.error().message));
    }
    file.records.push_back(std::move(record).value());
  }
  return file;
}

}  // namespace kakeya::acceptance
