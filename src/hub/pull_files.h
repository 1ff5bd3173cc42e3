// The files of one pull, several at a time.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "hub/pull.h"

namespace kakeya::hub {

struct FileSet {
  ModelId id;
  std::string commit;
  std::vector<HubFile> files;
  std::string directory;  // the files' paths are below it
};

// Makes the directories, refuses when the disk has no room for the rest, fetches. On success every file of
// `set` has its sha256; the value is the number of bytes received. The first error ends the other transfers.
Result<std::uint64_t> fetch_files(const HubAccess& access, FileSet& set, int connections,
                                  const OnPullProgress& progress);

}  // namespace kakeya::hub
