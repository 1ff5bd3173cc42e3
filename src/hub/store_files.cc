#include "hub/store_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/split_name.h"
#include "hub/file_choice.h"
#include "hub/json_text.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfig = std::uint64_t{4} << 20;

std::string type_in_config(const std::string& path) {
  const auto text = base::read_file(path, kMaxConfig);
  if (!text.ok()) return {};
  const auto parsed = parse_json_text(path, *text);
  if (!parsed.ok() || !parsed->is_object()) return {};
  const nlohmann::ordered_json& config = *parsed;
  if (const auto it = config.find("quantization");
      it != config.end() && it->is_object() && it->contains("bits") && (*it)["bits"].is_number_integer()) {
    return fmt::format("{} bits", (*it)["bits"].get<std::int64_t>());
  }
  for (const char* field : {"torch_dtype", "dtype"}) {
    if (config.contains(field) && config[field].is_string()) return config[field].get<std::string>();
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> directories_in(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) out.push_back(it->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return io_error(fmt::format("read {}: {}", directory, error.message()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) sum += it->file_size(ignored);
  }
  return sum;
}

std::string weight_type(const Manifest& manifest, const std::string& files_directory) {
  if (!manifest.id.variant.empty()) return manifest.id.variant;
  for (const HubFile& file : manifest.files) {
    if (file.path == "config.json") return type_in_config(files_directory + "/config.json");
  }
  std::vector<std::string> paths;
  for (const HubFile& file : manifest.files) paths.push_back(file.path);
  return base::group_split_files(paths).size() == 1 ? quant_of(paths.front()) : std::string();
}

Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int number = errno;
  if (fd >= 0) ::close(fd);
  if (synced) return {};
  return io_error(fmt::format("sync {}: {}", directory, std::strerror(number)));
}

}  // namespace kakeya::hub
