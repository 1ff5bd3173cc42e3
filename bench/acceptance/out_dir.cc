#include "acceptance/out_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace kakeya::acceptance {
namespace fs = std::filesystem;

std::vector<std::string> run_files(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("b2_dflash_kakeya_", 0) == 0 || name.rfind("FINDINGS.md", 0) == 0 ||
        name.rfind("report.html", 0) == 0) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::unique_ptr<OutDir>> OutDir::open(const std::string& path, bool resume, bool overwrite) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return io_error(fmt::format("create {}: {}", path, error.message()));
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(fmt::format("open {}: {}", path, std::strerror(errno)));
  std::unique_ptr<OutDir> dir(new OutDir(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return invalid_argument(fmt::format("--out-dir {}: another run is writing there", path));
  }
  const std::vector<std::string> names = run_files(path);
  if (names.empty() || resume) return dir;
  if (!overwrite) {
    return invalid_argument(
        fmt::format("--out-dir {}: holds {} of an earlier run; --resume continues it, --overwrite removes "
                    "it, or name another directory",
                    path, names.front()));
  }
  for (const std::string& name : names) {
    fs::remove(fs::path(path) / name, error);
    if (error) return io_error(fmt::format("remove {}/{}: {}", path, name, error.message()));
  }
  return dir;
}

OutDir::~OutDir() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace kakeya::acceptance
