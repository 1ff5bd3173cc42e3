#include "base/output_file.h"

#include <filesystem>

#include "base/file_kind.h"

namespace kakeya::base {
namespace {

namespace fs = std::filesystem;
constexpr int kMostLinks = 40;  // as Linux follows

}  // namespace

Result<std::string> output_file(const std::string& path) {
  fs::path at = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(fs::symlink_status(at, error)); ++links) {
    const fs::path next = fs::read_symlink(at, error);
    if (error || links == kMostLinks) {
      return io_error("output " + path + ": " + (error ? error.message() : "found links in a circle"));
    }
    at = next.is_absolute() ? next : at.parent_path() / next;
  }
  const std::string kind = file_kind(at.string());
  if (!kind.empty() && kind != kRegularFile) {
    const std::string through = at == fs::path(path) ? "" : " (a link to " + at.string() + ")";
    return invalid_argument("output " + path + through + " is " + kind + ", expected a file");
  }
  return at.string();
}

}  // namespace kakeya::base
