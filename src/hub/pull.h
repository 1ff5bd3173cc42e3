// A model from a hub into the store. Cut at any moment, there is the old model, whole, or none, and what came
// of the new one is continued by the next pull.
#pragma once
#include <kakeya/result.h>

#include <functional>
#include <string>

#include "hub/file_choice.h"
#include "hub/hub_api.h"
#include "hub/store.h"

namespace kakeya::hub {

struct PullRequest {
  ModelId id;
  std::string revision = "main";
  Patterns patterns;
  std::string
      directory;       // the files go there instead of the store: a new or empty directory; empty = the store
  bool force = false;  // everything again, whatever is there
  int connections = 2;  // files at a time
};

struct PullProgress {
  std::size_t files_done = 0, files = 0;
  std::uint64_t bytes_done = 0, bytes = 0;  // on disk, those of earlier runs too
  std::string file;                         // the one that progressed
};
// Called from the threads of a pull, one call at a time.
using OnPullProgress = std::function<void(const PullProgress&)>;

struct PullResult {
  Manifest manifest;
  std::string path;            // what Engine::open takes
  std::uint64_t received = 0;  // bytes that came over the network
  bool already_there = false;
};

// Errors: those of list_files, choose_files and fetch_file; kUnavailable (another pull of the model runs),
// kIo (no space: both sizes are named), kInvalidArgument (directory in use).
Result<PullResult> pull(const Store& store, const HubAccess& access, const PullRequest& request,
                        const OnPullProgress& progress);

}  // namespace kakeya::hub
