#include "hub/part_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace kakeya::hub {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

Error system_error(const char* operation, const std::string& path) {
  return io_error(fmt::format("{} {}: {}", operation, path, std::strerror(errno)));
}

}  // namespace

PartFile::PartFile(int fd, std::string path, std::uint64_t whole_size)
    : fd_(fd), path_(std::move(path)), whole_size_(whole_size) {
  begin_digests();
}

PartFile::PartFile(PartFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_),
      whole_size_(other.whole_size_),
      sha256_(std::move(other.sha256_)),
      git_(std::move(other.git_)) {}

PartFile::~PartFile() {
  if (fd_ >= 0) ::close(fd_);
}

void PartFile::begin_digests() {
  sha256_.emplace(base::DigestKind::kSha256);
  git_.emplace(base::DigestKind::kSha1);
  std::string header = fmt::format("blob {}", whole_size_);
  header += '\0';
  git_->update(std::as_bytes(std::span(header.data(), header.size())));
}

Result<PartFile> PartFile::open(const std::string& path, std::uint64_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return system_error("create", path);
  PartFile file(fd, path, size);
  KAKEYA_TRY(file.take_existing());
  return file;
}

Status PartFile::take_existing() {
  std::vector<std::byte> buffer(kReadBytes);
  for (;;) {
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path_);
    if (n == 0) return {};
    const std::span<const std::byte> bytes(buffer.data(), static_cast<std::size_t>(n));
    if (bytes.size() > whole_size_ - size_) return restart();
    sha256_->update(bytes);
    git_->update(bytes);
    size_ += bytes.size();
  }
}

Status PartFile::append(std::span<const std::byte> bytes) {
  for (std::span<const std::byte> rest = bytes; !rest.empty();) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", path_);
    const auto written = rest.first(static_cast<std::size_t>(n));
    sha256_->update(written);
    git_->update(written);
    size_ += written.size();
    rest = rest.subspan(written.size());
  }
  return {};
}

Status PartFile::restart() {
  if (::ftruncate(fd_, 0) != 0) return system_error("truncate", path_);
  if (::lseek(fd_, 0, SEEK_SET) != 0) return system_error("seek in", path_);
  size_ = 0;
  begin_digests();
  return {};
}

Status PartFile::sync() { return ::fsync(fd_) == 0 ? Status() : Status(system_error("sync", path_)); }

PartFile::Digests PartFile::digests() { return {sha256_->hex(), git_->hex()}; }

}  // namespace kakeya::hub
