// A file that arrives in pieces, over several runs: what is on disk, and the digests of it.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/digest.h"

namespace kakeya::hub {

class PartFile {
 public:
  // Opens or makes `path`. What is there already is read once for the digests; more than `size` bytes there
  // cannot be a beginning, so it starts over. `size` is of the whole file. Errors: kIo.
  static Result<PartFile> open(const std::string& path, std::uint64_t size);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();

  std::uint64_t size() const { return size_; }              // bytes there
  std::uint64_t whole_size() const { return whole_size_; }  // bytes expected in the end
  bool complete() const { return size_ == whole_size_; }

  Status append(std::span<const std::byte> bytes);  // errors: kIo
  Status restart();                                 // forgets every byte; errors: kIo
  Status sync();                                    // bytes are on the disk after it; errors: kIo

  struct Digests {
    std::string sha256;
    std::string git_oid;  // git's id of a blob with these bytes: sha1("blob <size>\0" + bytes)
  };
  // Of a complete file, once; restart() allows another time.
  Digests digests();

 private:
  PartFile(int fd, std::string path, std::uint64_t whole_size);
  void begin_digests();
  Status take_existing();

  int fd_;
  std::string path_;
  std::uint64_t size_ = 0, whole_size_;
  std::optional<base::Digest> sha256_, git_;
};

}  // namespace kakeya::hub
