// Append-only record of one cell while it runs: a header line with the cell's identity, then one line per
// finished part, each written with one call and synced. A half-written last line (kill -9, power) is dropped
// on reading.
#pragma once
#include <kakeya/result.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "acceptance/records.h"

namespace kakeya::acceptance {

// Key of a finished part.
struct JournalEntry {
  std::size_t index = 0;  // row in the data set
  std::string part;       // "free" or "forced"
};

class Journal {
 public:
  // Starts or continues the file. `found` receives the parts that are there already, merged into records by
  // index. Errors: kInvalidArgument when its header is another identity (names the difference), kCorruptData,
  // kIo.
  static Result<std::unique_ptr<Journal>> open(const std::string& path,
                                               const nlohmann::ordered_json& identity,
                                               std::vector<Record>& found);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const std::string& path() const { return path_; }
  // On an error the file is cut back to the last whole line.
  Status append_free(const Record& record);
  Status append_forced(const Record& record);

 private:
  Journal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status append(const nlohmann::ordered_json& line);

  std::string path_;
  int fd_ = -1;
};

// Puts a part into the record of its index, adding the record when it is new.
void merge_part(std::vector<Record>& records, Record part);

}  // namespace kakeya::acceptance
