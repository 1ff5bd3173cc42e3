// One file of a repository onto the disk: continued where it ended, retried, checked, renamed.
#pragma once
#include <kakeya/result.h>

#include <functional>
#include <string>

#include "hub/hub_api.h"

namespace kakeya::hub {

struct FetchTask {
  ModelId id;
  std::string commit;
  HubFile file;
  std::string path;                               // in the end; beginnings lie in path + ".part"
  std::function<void(std::uint64_t)> bytes_here;  // of this file on disk, now and then; may be empty
};

struct Fetched {
  HubFile file;  // with sha256
  std::uint64_t received = 0;
};

// `path` exists only when its bytes are complete, of the announced digest, and on the disk; one that exists
// is taken as such. Errors: kNetwork (unreachable, wrong size), kUnsupported (refused), kCorruptData (wrong
// digest twice), kNotFound, kIo, kCancelled. What arrived stays for another call.
Result<Fetched> fetch_file(const HubAccess& access, const FetchTask& task);

// Bytes of the file that are on disk, complete or not.
std::uint64_t bytes_on_disk(const HubFile& file, const std::string& path);

}  // namespace kakeya::hub
