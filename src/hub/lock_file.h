// One process at a time, by a file that the system unlocks when its holder ends, however it ends.
#pragma once
#include <kakeya/result.h>

#include <string>

namespace kakeya::hub {

class LockFile {
 public:
  // Does not wait. Errors: kUnavailable when another process or thread holds it, kIo.
  static Result<LockFile> take(const std::string& path);
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&&) = delete;
  ~LockFile();

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace kakeya::hub
