// Where the embedded pair and sets lie.
#include <fmt/format.h>
#include <kakeya/engine.h>

#include <filesystem>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

namespace kakeya {
namespace {

namespace fs = std::filesystem;

// The running program's file, empty when the system will not say.
fs::path program_path() {
  std::error_code error;
#ifdef __APPLE__
  std::uint32_t size = 4096;
  std::string buffer(size, '\0');
  if (_NSGetExecutablePath(buffer.data(), &size) != 0) return {};
  return fs::canonical(buffer.c_str(), error);
#else
  return fs::read_symlink("/proc/self/exe", error);
#endif
}

}  // namespace

Result<std::string> find_share_dir(const std::string& hint) {
  std::vector<fs::path> places;
  if (!hint.empty()) {
    places.emplace_back(hint);
  } else {
    const fs::path program = program_path();
    if (!program.empty()) places.push_back(program.parent_path().parent_path() / "share" / "kakeya");
    places.emplace_back(KAKEYA_SOURCE_DIR);
  }
  std::string tried;
  for (const fs::path& place : places) {
    std::error_code error;
    if (fs::is_directory(place / "models" / "tiny", error)) return place.string();
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  return not_found(fmt::format("embedded pair: no models/tiny in {}", tried));
}

}  // namespace kakeya
