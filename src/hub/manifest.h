// What was pulled: one JSON file per model. A model exists when its manifest does.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hub/hub_api.h"

namespace kakeya::hub {

struct Manifest {
  ModelId id;
  std::string revision;  // as asked for: "main"
  std::string commit;    // 40 hex digits
  std::string
      snapshot;      // name of the directory with the files, beside the manifest; empty = the manifest's own
  std::string date;  // "2026-11-28T07:26:32Z"
  std::vector<HubFile> files;  // sha256 always known; git_oid where the hub gave it

  std::uint64_t bytes() const;
};

std::string manifest_json(const Manifest& manifest);
// Errors: kNotFound, kIo, kCorruptData with the field.
Result<Manifest> read_manifest(const std::string& path);
// Of its text; `path` is named in errors. Errors: kCorruptData with the field.
Result<Manifest> parse_manifest(const std::string& text, const std::string& path);

// "manifest.json", "manifest.Q4_K_M.json".
std::string manifest_name(const ModelId& id);
// A directory name that is another one when the commit, the variant or the choice of files is.
std::string snapshot_name(const ModelId& id, const std::string& commit, const std::vector<HubFile>& files);

}  // namespace kakeya::hub
