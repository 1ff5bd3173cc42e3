#include "hub/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace kakeya::hub {

Result<LockFile> LockFile::take(const std::string& path) {
  for (;;) {
    LockFile lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (lock.fd_ < 0) return io_error(fmt::format("create {}: {}", path, std::strerror(errno)));
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return io_error(fmt::format("lock {}: {}", path, std::strerror(errno)));
      return Error{
          ErrorCode::kUnavailable,
          fmt::format("{} is held: another pull or rm works on this model; try again when it ended", path)};
    }
    // Its last holder may have removed the file between our open and our lock: then it guards nothing.
    struct stat ours {
    }, there{};
    if (::fstat(lock.fd_, &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino) {
      return lock;
    }
  }
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace kakeya::hub
