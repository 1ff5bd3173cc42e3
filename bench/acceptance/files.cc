#include "acceptance/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace kakeya::acceptance {
namespace {

Error system_error(const std::string& operation, const std::string& path) {
  return io_error(fmt::format("{} {}: {}", operation, path, std::strerror(errno)));
}

// `regular`: a new file, synced. Otherwise a device or pipe, which is written to and cannot be synced.
Status write_and_sync(const std::string& path, const std::string& content, bool regular = true) {
  const int flags = regular ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_WRONLY | O_CLOEXEC;
  const int fd = ::open(path.c_str(), flags, 0644);
  if (fd < 0) return system_error(regular ? "create" : "open", path);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const Error error = system_error("write", path);
      ::close(fd);
      return error;
    }
    done += static_cast<std::size_t>(n);
  }
  if (regular && ::fsync(fd) != 0) {
    const Error error = system_error("sync", path);
    ::close(fd);
    return error;
  }
  if (::close(fd) != 0) return system_error("close", path);
  return {};
}

// Where a chain of links ends, so that a rename replaces the file and not the link.
std::string resolved(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string out = real;
  std::free(real);
  return out;
}

std::string temporary_name(const std::string& path) { return fmt::format("{}.tmp-{}", path, ::getpid()); }

}  // namespace

std::string sha256_text(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

Status write_files(const std::vector<OutputFile>& outputs) {
  std::vector<OutputFile> files;
  for (const OutputFile& output : outputs) {
    struct stat info {};
    const bool exists = ::stat(output.path.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
      return io_error(fmt::format("write {}: is a directory, expected the name of a file", output.path));
    }
    if (exists && !S_ISREG(info.st_mode)) {
      KAKEYA_TRY(write_and_sync(output.path, output.content, false));
      continue;
    }
    files.push_back(output);
    if (exists) files.back().path = resolved(output.path);
  }
  Status status;
  std::size_t staged = 0;
  for (; staged < files.size() && status.ok(); ++staged) {
    status = write_and_sync(temporary_name(files[staged].path), files[staged].content);
  }
  if (!status.ok()) {
    for (std::size_t i = 0; i < staged; ++i) ::unlink(temporary_name(files[i].path).c_str());
    return status;
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (std::rename(temporary_name(files[i].path).c_str(), files[i].path.c_str()) == 0) continue;
    status = system_error("rename into", files[i].path);
    for (; i < files.size(); ++i) ::unlink(temporary_name(files[i].path).c_str());
  }
  return status;
}

Result<std::string> read_regular_file(const std::string& path, std::size_t max_bytes) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return io_error(fmt::format("read {}: found {}, expected a regular file", path,
                                S_ISDIR(info.st_mode)    ? "a directory"
                                : S_ISFIFO(info.st_mode) ? "a named pipe"
                                                         : "a device or socket"));
  }
  return read_whole_file(path, max_bytes);
}

Result<std::string> read_whole_file(const std::string& path, std::size_t max_bytes) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    if (errno == ENOENT) return not_found(fmt::format("read {}: no such file", path));
    return system_error("open", path);
  }
  std::string content;
  std::array<char, 65536> buffer;
  std::size_t n = 0;
  while ((n = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
    content.append(buffer.data(), n);
    if (content.size() > max_bytes) {
      std::fclose(file);
      return corrupt_data(fmt::format("read {}: larger than {} bytes", path, max_bytes));
    }
  }
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return system_error("read", path);
  return content;
}

std::string to_valid_utf8(std::string_view text) {
  const std::string quoted =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(quoted).get<std::string>();
}

}  // namespace kakeya::acceptance
