#include "hub/pull.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "hub/lock_file.h"
#include "hub/pull_files.h"
#include "hub/store_files.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestInDirectory = "kakeya-manifest.json";

std::string now_text() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

Status rename_path(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? Status(io_error(fmt::format("rename {} to {}: {}", from, to, error.message()))) : Status();
}

Status make_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? Status(io_error(fmt::format("create {}: {}", path, error.message()))) : Status();
}

Status remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? Status(io_error(fmt::format("remove {}: {}", path, error.message()))) : Status();
}

bool same_files(const Manifest& a, const Manifest& b) {
  return a.commit == b.commit && a.files.size() == b.files.size() &&
         std::equal(a.files.begin(), a.files.end(), b.files.begin(), [](const HubFile& x, const HubFile& y) {
           return x.path == y.path && x.size == y.size && (y.sha256.empty() || x.sha256 == y.sha256);
         });
}

// Every file of the manifest is there with its size.
bool is_whole(const Manifest& manifest, const std::string& directory) {
  return std::all_of(manifest.files.begin(), manifest.files.end(), [&](const HubFile& file) {
    std::error_code error;
    return fs::file_size(directory + "/" + file.path, error) == file.size && !error;
  });
}

class Pull {
 public:
  Pull(const Store& store, const HubAccess& access, const PullRequest& request,
       const OnPullProgress& progress)
      : store_(store), access_(access), request_(request), progress_(progress) {}

  Result<PullResult> into_store();
  Result<PullResult> into_directory();

 private:
  Result<Manifest> plan();
  // The planned files below `files`, with the plan kept at `plan_path`.
  Status fetch(Manifest& planned, const std::string& files, const std::string& plan_path);
  Status prepare_partial(const Manifest& planned, const Manifest* old);
  void link_known_files(const Manifest& planned, const Manifest& old);
  Status install(Manifest& planned, const Manifest* old);

  const Store& store_;
  const HubAccess& access_;
  const PullRequest& request_;
  const OnPullProgress& progress_;
  std::uint64_t received_ = 0;
};

Result<Manifest> Pull::plan() {
  KAKEYA_ASSIGN(const HubListing listing, list_files(access_, request_.id, request_.revision));
  Manifest planned;
  planned.id = request_.id;
  planned.revision = request_.revision;
  planned.commit = listing.commit;
  planned.date = now_text();
  KAKEYA_ASSIGN(planned.files, choose_files(request_.id, listing.files, request_.patterns));
  planned.snapshot = snapshot_name(request_.id, planned.commit, planned.files);
  return planned;
}

Status Pull::fetch(Manifest& planned, const std::string& files, const std::string& plan_path) {
  KAKEYA_TRY(make_directory(files));
  KAKEYA_TRY(base::write_file_atomic(plan_path, manifest_json(planned)));
  FileSet set{planned.id, planned.commit, planned.files, files};
  KAKEYA_ASSIGN(received_, fetch_files(access_, set, request_.connections, progress_));
  planned.files = std::move(set.files);
  return {};
}

// Files that the old snapshot holds already are shared with it. A link that fails is a file to download.
void Pull::link_known_files(const Manifest& planned, const Manifest& old) {
  const std::string from = store_.files_directory(old);
  const fs::path to = fs::path(store_.partial_directory(planned.id, planned.snapshot)) / planned.id.repo;
  for (const HubFile& file : planned.files) {
    const auto known = std::find_if(old.files.begin(), old.files.end(), [&](const HubFile& other) {
      return other.path == file.path && other.size == file.size &&
             (file.sha256.empty() ? other.git_oid == file.git_oid : other.sha256 == file.sha256);
    });
    std::error_code error;
    if (known == old.files.end() || fs::file_size(from + "/" + file.path, error) != file.size) continue;
    fs::create_directories((to / file.path).parent_path(), error);
    fs::create_hard_link(from + "/" + file.path, to / file.path, error);
  }
}

Status Pull::prepare_partial(const Manifest& planned, const Manifest* old) {
  const std::string partial = store_.partial_directory(planned.id, planned.snapshot);
  const std::string installed = store_.directory(planned.id) + "/" + planned.snapshot;
  std::error_code error;
  if (request_.force) KAKEYA_TRY(remove_tree(partial));
  KAKEYA_TRY(make_directory(fs::path(partial).parent_path().string()));
  const bool in_use = old != nullptr && old->snapshot == planned.snapshot;
  // An earlier pull was cut between its last two steps: its files are complete.
  if (!in_use && !request_.force && fs::exists(installed, error) && !fs::exists(partial, error)) {
    KAKEYA_TRY(rename_path(installed, partial));
  }
  KAKEYA_TRY(make_directory(partial));
  KAKEYA_TRY(store_.collect_garbage(planned.id, planned.snapshot));
  if (old != nullptr && !request_.force) link_known_files(planned, *old);
  return {};
}

Status Pull::install(Manifest& planned, const Manifest* old) {
  const std::string partial = store_.partial_directory(planned.id, planned.snapshot);
  if (old != nullptr && old->snapshot == planned.snapshot) planned.snapshot += "-2";  // beside the one in use
  const std::string place = store_.directory(planned.id);
  const std::string installed = place + "/" + planned.snapshot;
  KAKEYA_TRY(sync_directory(partial + "/" + planned.id.repo));
  KAKEYA_TRY(rename_path(partial, installed));
  KAKEYA_TRY(sync_directory(place));
  KAKEYA_TRY(base::write_file_atomic(store_.manifest_path(planned.id), manifest_json(planned)));
  KAKEYA_TRY(sync_directory(place));
  return store_.collect_garbage(planned.id, "");
}

Result<PullResult> Pull::into_store() {
  KAKEYA_ASSIGN(Manifest planned, plan());
  const std::string place = store_.directory(planned.id);
  KAKEYA_TRY(make_directory(place));
  KAKEYA_ASSIGN(const LockFile lock, LockFile::take(store_.lock_path(planned.id)));
  const auto found = store_.find(planned.id);
  const Manifest* old = found.ok() ? &*found : nullptr;
  if (!found.ok() &&
      found.error().code == ErrorCode::kCorruptData) {  // names no model: as if it were not there
    KAKEYA_TRY(remove_tree(store_.manifest_path(planned.id)));
  }
  if (old != nullptr && !is_whole(*old, store_.files_directory(*old))) old = nullptr;
  if (old != nullptr && !request_.force && same_files(*old, planned)) {
    KAKEYA_TRY(store_.collect_garbage(planned.id, ""));
    return PullResult{*old, store_.model_path(*old), 0, true};
  }
  KAKEYA_TRY(prepare_partial(planned, old));
  const std::string partial = store_.partial_directory(planned.id, planned.snapshot);
  KAKEYA_TRY(fetch(planned, partial + "/" + planned.id.repo, partial + "/" + kPlanName));
  planned.date = now_text();
  KAKEYA_TRY(install(planned, old));
  return PullResult{planned, store_.model_path(planned), received_, false};
}

Result<PullResult> Pull::into_directory() {
  std::string target = fs::path(request_.directory).lexically_normal().string();
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  const std::string partial = target + ".partial";
  KAKEYA_ASSIGN(Manifest planned, plan());
  planned.snapshot.clear();
  const auto there = read_manifest(target + "/" + kManifestInDirectory);
  if (there.ok() && same_files(*there, planned) && is_whole(*there, target) && !request_.force) {
    return PullResult{*there, target, 0, true};
  }
  std::error_code error;
  if (fs::exists(target, error) && !(fs::is_directory(target, error) && fs::is_empty(target, error))) {
    return invalid_argument(
        fmt::format("--dir: {} exists and is not empty, expected a new or an empty directory", target));
  }
  KAKEYA_TRY(make_directory(partial));
  KAKEYA_ASSIGN(const LockFile lock, LockFile::take(partial + ".lock"));
  const auto earlier = read_manifest(partial + "/" + kManifestInDirectory);
  if (request_.force || (earlier.ok() && !same_files(*earlier, planned))) KAKEYA_TRY(remove_tree(partial));
  KAKEYA_TRY(fetch(planned, partial, partial + "/" + kManifestInDirectory));
  planned.date = now_text();
  KAKEYA_TRY(base::write_file_atomic(partial + "/" + kManifestInDirectory, manifest_json(planned)));
  KAKEYA_TRY(sync_directory(partial));
  KAKEYA_TRY(rename_path(partial, target));
  fs::remove(partial + ".lock", error);
  return PullResult{planned, target, received_, false};
}

}  // namespace

Result<PullResult> pull(const Store& store, const HubAccess& access, const PullRequest& request,
                        const OnPullProgress& progress) {
  Pull work(store, access, request, progress);
  return request.directory.empty() ? work.into_store() : work.into_directory();
}

}  // namespace kakeya::hub
