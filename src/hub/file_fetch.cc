#include "hub/file_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/sha256.h"
#include "hub/file_choice.h"
#include "hub/http_download.h"
#include "hub/hub_errors.h"
#include "hub/part_file.h"
#include "hub/retry.h"
#include "hub/store_files.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;

// So many new bytes are progress: a server that sends one byte at a time cannot hold us for ever.
constexpr std::uint64_t kProgressBytes = std::uint64_t{1} << 20;

// huggingface_hub's MAX_HTTP_DOWNLOAD_SIZE.
constexpr std::uint64_t kMostOverHttp = 50'000'000'000;

std::string part_path(const std::string& path) { return path + ".part"; }

bool is_complete(const HubFile& file, const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) == file.size && !error;
}

class Fetch {
 public:
  Fetch(const HubAccess& access, const FetchTask& task)
      : access_(access),
        task_(task),
        url_(file_url(access, task.id, task.commit, task.file.path)),
        retry_(access.retry, access.cancelled) {}

  Result<Fetched> run() {
    KAKEYA_ASSIGN(PartFile part, PartFile::open(part_path(task_.path), task_.file.size));
    const std::uint64_t before = part.size();
    for (bool again = false;; again = true) {
      while (!part.complete()) KAKEYA_TRY(transfer(part));
      const PartFile::Digests digests = part.digests();
      const Status checked = check(digests);
      if (checked.ok()) return finish(part, digests.sha256, part.size() - std::min(before, part.size()));
      // Another server's bytes, or a damaged beginning from an earlier run: once more from the start.
      KAKEYA_TRY(part.restart());
      if (again) return checked.error();
    }
  }

 private:
  Status transfer(PartFile& part) {
    const std::uint64_t before = part.size();
    DownloadRequest request;
    request.url = url_;
    request.bearer_token = access_.token;
    request.sha256 = task_.file.sha256;
    request.connect_ms = access_.connect_ms;
    request.slow_bytes_per_s = access_.slow_bytes_per_s;
    request.slow_s = access_.slow_s;
    request.cancelled = access_.cancelled;
    request.progress = [&] {
      if (task_.bytes_here) task_.bytes_here(part.size());
    };
    const HttpOutcome outcome = http_download(request, part);
    if (!outcome.failed && (outcome.reply.status == 200 || outcome.reply.status == 206)) return {};
    Error error =
        outcome.failed ? outcome.failure.error : status_error(access_, task_.id, url_, outcome.reply);
    if (!outcome.failed && task_.file.size > kMostOverHttp) {
      error.message += fmt::format(
          "; the hub gives files above {} over its Xet protocol alone, which is not spoken "
          "here: take the model in smaller files",
          readable_bytes(kMostOverHttp));
    }
    if (!outcome.failed && error.code == ErrorCode::kNotFound) return error;
    if (part.size() >= before + kProgressBytes) retry_.progressed();
    return retry_.again(outcome, error);
  }

  Status check(const PartFile::Digests& digests) const {
    const HubFile& file = task_.file;
    const bool by_sha256 = !file.sha256.empty();
    const std::string& found = by_sha256 ? digests.sha256 : digests.git_oid;
    const std::string& expected = by_sha256 ? file.sha256 : file.git_oid;
    if (found == expected) return {};
    return corrupt_data(fmt::format("get {}: found {} {}, expected {}", url_,
                                    by_sha256 ? "sha256" : "git blob", found, expected));
  }

  Result<Fetched> finish(PartFile& part, const std::string& sha256, std::uint64_t received) {
    KAKEYA_TRY(part.sync());
    std::error_code error;
    fs::rename(part_path(task_.path), task_.path, error);
    if (error) return io_error(fmt::format("rename to {}: {}", task_.path, error.message()));
    KAKEYA_TRY(sync_directory(fs::path(task_.path).parent_path().string()));
    if (task_.bytes_here) task_.bytes_here(task_.file.size);
    Fetched out{task_.file, received};
    out.file.sha256 = sha256;
    return out;
  }

  const HubAccess& access_;
  const FetchTask& task_;
  const std::string url_;
  Retry retry_;
};

}  // namespace

std::uint64_t bytes_on_disk(const HubFile& file, const std::string& path) {
  if (is_complete(file, path)) return file.size;
  std::error_code error;
  const std::uintmax_t size = fs::file_size(part_path(path), error);
  return error ? 0 : std::min<std::uint64_t>(size, file.size);
}

Result<Fetched> fetch_file(const HubAccess& access, const FetchTask& task) {
  if (!is_complete(task.file, task.path)) return Fetch(access, task).run();
  Fetched out{task.file, 0};
  if (out.file.sha256.empty()) {
    KAKEYA_ASSIGN(out.file.sha256, base::sha256_files({task.path}));
  }
  if (task.bytes_here) task.bytes_here(task.file.size);
  return out;
}

}  // namespace kakeya::hub
