// What lies under a name, in words for "found ..., expected a regular file".
#pragma once
#include <sys/stat.h>

#include <string>

namespace kakeya::base {

inline constexpr const char* kRegularFile = "a regular file";

inline std::string file_kind(const struct stat& info) {
  if (S_ISREG(info.st_mode)) return kRegularFile;
  if (S_ISDIR(info.st_mode)) return "a directory";
  if (S_ISFIFO(info.st_mode)) return "a named pipe";
  if (S_ISSOCK(info.st_mode)) return "a socket";
  return "a device";
}

// Links are followed; "" when nothing is there.
inline std::string file_kind(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? file_kind(info) : std::string();
}

}  // namespace kakeya::base
