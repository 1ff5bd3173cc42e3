// Pulled models on disk:
//   <root>/models/<org>/<repo>/manifest[.VARIANT].json    exists when the model is complete, names a snapshot
//   <root>/models/<org>/<repo>/<snapshot>/<repo>/...      its files, never changed
//   <root>/models/<org>/<repo>/.partial/<snapshot>/...    files on their way
//   <root>/models/<org>/<repo>/.lock                      held by pull and rm
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hub/manifest.h"

namespace kakeya::hub {

// The manifest of a model on its way, in the directory with its beginnings; digests may be missing in it.
inline constexpr const char* kPlanName = "manifest.json";

class Store {
 public:
  explicit Store(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string directory(const ModelId& id) const;  // of the repository
  std::string manifest_path(const ModelId& id) const;
  std::string files_directory(const Manifest& manifest) const;
  std::string partial_directory(const ModelId& id, const std::string& snapshot) const;
  std::string lock_path(const ModelId& id) const;

  // What Engine::open takes: the directory of the files, or the only GGUF model in it (of a split one the
  // first part), or of several the one of the quantisation.
  std::string model_path(const Manifest& manifest, const std::string& quant = "") const;

  // Errors: kNotFound, kIo, kCorruptData.
  Result<Manifest> find(const ModelId& id) const;
  // As find; a name without a variant also stands for the only variant that was pulled, and one with a
  // variant for a pull without that has a GGUF model of it. Errors: also kInvalidArgument with the variants
  // when there are several.
  Result<Manifest> find_any(const ModelId& id) const;

  struct Entry {
    Manifest manifest;  // of an incomplete model: what was planned
    std::string path;   // model_path; of an incomplete model the directory that holds its beginnings
    std::string type;   // "Q4_K_M", "bfloat16": what the name or config.json says; may be empty
    bool complete = true;
    std::uint64_t bytes = 0;  // on disk
    std::string damage;  // why the manifest cannot be read: then manifest has the id alone, path is its own
  };
  // By name, those with damaged manifests too. Errors: kIo (the store cannot be read). An absent store is
  // empty.
  Result<std::vector<Entry>> list() const;

  // The manifest, damaged or not, of what remove would take away; nothing where only beginnings are there.
  // Errors: kNotFound, kInvalidArgument (several variants), kIo.
  Result<std::optional<ModelId>> removable(const ModelId& id) const;
  // Removes what the id names, complete or not. Errors: kNotFound, kInvalidArgument (several variants),
  // kUnavailable (being pulled), kIo.
  Status remove(const ModelId& id) const;

  // Removes snapshots that no manifest of the repository names (none while a manifest cannot be read), and
  // beginnings of this model but those of the snapshot `keep_partial`. Under the lock only.
  Status collect_garbage(const ModelId& id, const std::string& keep_partial) const;

 private:
  struct Partial {
    std::string snapshot;
    Manifest planned;
  };
  std::vector<Partial> partials_of(const ModelId& id) const;
  Result<std::vector<Manifest>> manifests_in(const std::string& directory) const;
  Status check_place(const ModelId& id) const;  // that its directory is there, and in the store
  Status list_repository(const std::string& directory, const ModelId& id, std::vector<Entry>& out) const;

  std::string root_;
};

}  // namespace kakeya::hub
