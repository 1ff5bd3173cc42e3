// A read-only memory mapping of a whole file.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <span>
#include <string>

namespace kakeya::base {

class MappedFile {
 public:
  // Errors: kNotFound, kIo. An empty file maps to an empty span.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  // Asks the system to read the whole file ahead: weights are needed in full, and faulting them in page by
  // page reads a disk at a tenth of its speed. A hint; failure is ignored.
  void read_ahead() const;

  // The pages wholly inside [offset, offset + n) need not stay in memory; touched again, they are read again.
  // A hint; failure is ignored.
  void release(std::size_t offset, std::size_t n) const;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::string path_;
};

}  // namespace kakeya::base
