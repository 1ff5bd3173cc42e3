// The directory of a run: created, locked against a second run, and never written over by accident.
#pragma once
#include <kakeya/result.h>

#include <memory>
#include <string>
#include <vector>

namespace kakeya::acceptance {

class OutDir {
 public:
  // Errors: kIo (cannot create), kInvalidArgument (results of an earlier run are there and neither `resume`
  // nor `overwrite`; another process is writing there).
  static Result<std::unique_ptr<OutDir>> open(const std::string& path, bool resume, bool overwrite);
  ~OutDir();
  OutDir(const OutDir&) = delete;
  OutDir& operator=(const OutDir&) = delete;

 private:
  explicit OutDir(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Files of an earlier run in `path`: results, journals, reports.
std::vector<std::string> run_files(const std::string& path);

}  // namespace kakeya::acceptance
