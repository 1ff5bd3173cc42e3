#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_kind.h"

namespace kakeya::base {
namespace {

Error errno_error(const std::string& what, int number) {
  return {number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, what + ": " + std::strerror(number)};
}

using Pieces = std::span<const std::span<const std::byte>>;

Status write_all(int fd, std::span<const std::byte> content, const std::string& name) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errno_error("write " + name, n < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Status write_pieces(int fd, Pieces pieces, const std::string& name) {
  for (const auto piece : pieces) KAKEYA_TRY(write_all(fd, piece, name));
  if (::fsync(fd) != 0) return errno_error("sync " + name, errno);
  return {};
}

Status write_atomic(const std::string& path, Pieces pieces, mode_t mode) {
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return errno_error("create " + temporary, errno);
  Status status = write_pieces(fd, pieces, path);
  if (::close(fd) != 0 && status.ok()) status = errno_error("close " + path, errno);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = errno_error("rename to " + path, errno);
  }
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe's open would wait
  if (fd < 0) return errno_error("open " + path, errno);
  struct stat info {};
  if (::fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
    ::close(fd);
    return io_error("read " + path + ": found " + file_kind(info) + ", expected " + kRegularFile);
  }
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int saved = errno;
      ::close(fd);
      return errno_error("read " + path, saved);
    }
    if (n == 0) break;
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > max_bytes) {
      ::close(fd);
      return corrupt_data("read " + path + ": larger than the limit of " + std::to_string(max_bytes) +
                          " bytes");
    }
  }
  ::close(fd);
  return out;
}

Status write_file_atomic(const std::string& path, std::string_view content) {
  const auto piece = std::as_bytes(std::span(content.data(), content.size()));
  return write_atomic(path, Pieces(&piece, 1), 0644);
}

Status write_private_file_atomic(const std::string& path, Pieces pieces) {
  return write_atomic(path, pieces, 0600);
}

}  // namespace kakeya::base
