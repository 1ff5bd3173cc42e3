#include "acceptance/dataset.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "acceptance/dataset_records.h"
#include "acceptance/dataset_selection.h"
#include "acceptance/dataset_synthetic.h"
#include "acceptance/files.h"
#include "acceptance/hub_client.h"
#include "acceptance/jsonl.h"

namespace kakeya::acceptance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kOfficialHub = "https://datasets-server.huggingface.co";
constexpr const char* kCacheFormat = "kakeya-dataset-cache-v1";

// The records' bytes and where they came from.
struct Records {
  std::string source, path, text;
  std::vector<Problem> problems;
};

// Tried without success, in order: becomes the error message when every tier fails.
using Tried = std::vector<std::string>;

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

Result<Records> read_jsonl_file(const DatasetSpec& spec, const std::string& path) {
  KAKEYA_ASSIGN(std::string bytes, read_whole_file(path, kMaxDatasetBytes));
  if (is_gzip(bytes)) {
    KAKEYA_ASSIGN(bytes, gunzip(bytes, kMaxDatasetBytes, path));
  }
  Records records{"local", path, std::move(bytes), {}};
  KAKEYA_ASSIGN(records.problems, parse_jsonl_problems(spec.name, path, records.text));
  return records;
}

Result<std::optional<Records>> from_files(const DatasetSpec& spec, const DatasetOptions& options,
                                          Tried& tried) {
  std::vector<std::string> paths;
  if (!spec.embedded_path.empty())
    paths.push_back((fs::path(options.share_dir) / spec.embedded_path).string());
  if (!options.data_dir.empty()) {
    for (const std::string& below : spec.local_paths) {
      paths.push_back((fs::path(options.data_dir) / below).string());
      paths.push_back(paths.back() + ".gz");
    }
  }
  for (const std::string& path : paths) {
    if (!is_file(path)) continue;
    KAKEYA_ASSIGN(Records records, read_jsonl_file(spec, path));
    return std::optional<Records>(std::move(records));
  }
  if (paths.empty()) {
    tried.push_back("no data directory given");
  } else {
    tried.push_back(
        fmt::format("no file {}{}", paths.front(),
                    paths.size() > 1 ? fmt::format(" (nor {} other usual places)", paths.size() - 1) : ""));
  }
  return std::optional<Records>();
}

struct CachePaths {
  std::string records, note;
};

CachePaths cache_paths(const DatasetSpec& spec, const DatasetOptions& options) {
  const fs::path dir = options.cache_dir;
  return {(dir / (spec.name + ".jsonl")).string(), (dir / (spec.name + ".source.json")).string()};
}

// Records of the cache when its note names this address and the bytes have the note's digest.
Result<Records> from_cache(const DatasetSpec& spec, const CachePaths& paths, const std::string& address) {
  KAKEYA_ASSIGN(const std::string note_text, read_whole_file(paths.note, 1 << 16));
  KAKEYA_ASSIGN(const json note, parse_json(note_text, paths.note));
  if (!note.is_object())
    return corrupt_data(fmt::format("read {}: found {}, expected an object", paths.note, note.type_name()));
  const std::pair<const char*, std::string> wanted[] = {{"format", kCacheFormat}, {"address", address}};
  for (const auto& [field, expected] : wanted) {
    KAKEYA_ASSIGN(const std::string found, string_field(note, field, paths.note));
    if (found != expected) {
      return corrupt_data(fmt::format("read {}: field \"{}\": found {}, expected \"{}\"", paths.note, field,
                                      quoted_excerpt(found, 120), expected));
    }
  }
  KAKEYA_ASSIGN(const std::string digest, string_field(note, "sha256", paths.note));
  Records records{"huggingface", address, {}, {}};
  KAKEYA_ASSIGN(records.text, read_whole_file(paths.records, kMaxDatasetBytes));
  if (const std::string found = sha256_text(records.text); found != digest) {
    return corrupt_data(fmt::format("read {}: sha256: found {}, expected {} (from {})", paths.records, found,
                                    quoted_excerpt(digest, 64), paths.note));
  }
  KAKEYA_ASSIGN(records.problems, parse_jsonl_problems(spec.name, paths.records, records.text));
  return records;
}

Status write_cache(const CachePaths& paths, const std::string& address, const Records& records) {
  std::error_code error;
  fs::create_directories(fs::path(paths.records).parent_path(), error);
  if (error)
    return io_error(
        fmt::format("create {}: {}", fs::path(paths.records).parent_path().string(), error.message()));
  const json note = {{"format", kCacheFormat},
                     {"address", address},
                     {"sha256", sha256_text(records.text)},
                     {"records", records.problems.size()}};
  return write_files({{paths.records, records.text}, {paths.note, note.dump(2) + "\n"}});
}

Result<std::optional<Records>> from_hub(const DatasetSpec& spec, const DatasetOptions& options,
                                        Tried& tried) {
  if (spec.hub_dataset.empty()) return std::optional<Records>();
  if (options.cache_dir.empty()) {
    tried.push_back("no cache directory given, so nothing was downloaded");
    return std::optional<Records>();
  }
  // The official hub must give the set as published; a mirror may hold another.
  const bool official = options.hub_url.rfind(kOfficialHub, 0) == 0;
  const HubSource source{options.hub_url, options.hub_token, official ? spec.hub_rows : 0, options.hub_limits,
                         options.cancelled};
  const std::string address = hub_address(spec, source);
  const CachePaths paths = cache_paths(spec, options);
  if (is_file(paths.note)) {
    Result<Records> cached = from_cache(spec, paths, address);
    if (cached.ok()) return std::optional<Records>(std::move(cached).value());
    tried.push_back("cache: " + cached.error().message);  // a damaged cache is replaced by a new download
  } else {
    tried.push_back(fmt::format("no cache {}", paths.records));
  }
  if (!options.allow_network) {
    tried.push_back("the network is not allowed");
    return std::optional<Records>();
  }
  Result<std::string> text = download_jsonl(spec, source);
  if (!text.ok()) {
    if (text.error().code == ErrorCode::kCancelled || text.error().code == ErrorCode::kInvalidArgument)
      return text.error();
    tried.push_back("download: " + text.error().message);
    return std::optional<Records>();
  }
  Records records{"huggingface", address, std::move(text).value(), {}};
  KAKEYA_ASSIGN(records.problems, parse_jsonl_problems(spec.name, address, records.text));
  KAKEYA_TRY(write_cache(paths, address, records));
  return std::optional<Records>(std::move(records));
}

Result<Records> find_records(const DatasetSpec& spec, const DatasetOptions& options) {
  Tried tried;
  KAKEYA_ASSIGN(std::optional<Records> records, from_files(spec, options, tried));
  if (records) return std::move(*records);
  KAKEYA_ASSIGN(records, from_hub(spec, options, tried));
  if (records) return std::move(*records);
  if (options.allow_synthetic) {
    Records made{"synthetic", "synthetic fixture", synthetic_jsonl(spec.kind), {}};
    KAKEYA_ASSIGN(made.problems, parse_jsonl_problems(spec.name, made.path, made.text));
    return made;
  }
  return not_found(fmt::format("load data set {}: {}", spec.name, fmt::join(tried, "; ")));
}

}  // namespace

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetSpec& spec : dataset_specs()) names.push_back(spec.name);
  return names;
}

Result<Dataset> load_dataset(const std::string& name, const DatasetOptions& options) {
  const DatasetSpec* spec = find_dataset_spec(name);
  if (spec == nullptr) {
    return invalid_argument(fmt::format("load data set: found {}, expected one of {}",
                                        quoted_excerpt(name, 40), fmt::join(dataset_names(), ", ")));
  }
  if (options.n_samples == 0)
    return invalid_argument(fmt::format("load data set {}: found 0 samples, expected at least 1", name));
  KAKEYA_ASSIGN(Records records, find_records(*spec, options));
  Dataset dataset;
  dataset.name = name;
  dataset.source = records.source;
  dataset.path = records.path;
  dataset.sha256 = sha256_text(records.text);
  dataset.n_available = records.problems.size();
  dataset.seed = options.seed;
  for (const std::size_t i : select_indices(records.problems.size(), options.n_samples, options.seed)) {
    dataset.problems.push_back(std::move(records.problems[i]));
  }
  return dataset;
}

}  // namespace kakeya::acceptance
