#include "hub/pull_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "hub/file_fetch.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSpareBytes = std::uint64_t{32} << 20;  // for the file system's own books

std::string path_in(const FileSet& set, const HubFile& file) { return set.directory + "/" + file.path; }

Status make_directories(const FileSet& set) {
  for (const HubFile& file : set.files) {
    if (file.path.size() >= 5 && file.path.compare(file.path.size() - 5, 5, ".part") == 0) {
      return unsupported(
          fmt::format("pull {}: {} has a name that beginnings of files have here; --exclude it",
                      set.id.text(), file.path));
    }
    std::error_code error;
    const fs::path parent = fs::path(path_in(set, file)).parent_path();
    fs::create_directories(parent, error);
    if (error) return io_error(fmt::format("create {}: {}", parent.string(), error.message()));
  }
  return {};
}

Status check_space(const FileSet& set) {
  std::uint64_t missing = 0;
  for (const HubFile& file : set.files) missing += file.size - bytes_on_disk(file, path_in(set, file));
  if (missing == 0) return {};
  std::error_code error;
  const fs::space_info space = fs::space(set.directory, error);
  if (error) return io_error(fmt::format("free space of {}: {}", set.directory, error.message()));
  if (missing + kSpareBytes <= space.available) return {};
  return io_error(fmt::format("pull {}: found {} free in {}, expected {} for what is missing", set.id.text(),
                              readable_bytes(space.available), set.directory,
                              readable_bytes(missing + kSpareBytes)));
}

class Work {
 public:
  Work(const HubAccess& access, FileSet& set, const OnPullProgress& progress)
      : access_(access), set_(set), progress_(progress), here_(set.files.size()), done_(set.files.size()) {
    access_.cancelled = [this, outer = access.cancelled] { return stop_ || (outer && outer()); };
    for (std::size_t i = 0; i < set.files.size(); ++i) {
      here_[i] = bytes_on_disk(set.files[i], path_in(set, set.files[i]));
      bytes_ += set.files[i].size;
    }
  }

  Result<std::uint64_t> run(int connections) {
    std::vector<std::thread> threads;
    const std::size_t wanted = static_cast<std::size_t>(std::max(connections, 1));
    for (std::size_t i = 1; i < std::min(wanted, set_.files.size()); ++i)
      threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    if (error_) return *error_;
    return received_;
  }

 private:
  void work() {
    for (std::size_t i = next_++; i < set_.files.size() && !stop_; i = next_++) {
      const FetchTask task{set_.id, set_.commit, set_.files[i], path_in(set_, set_.files[i]),
                           [this, i](std::uint64_t bytes) { report(i, bytes, false); }};
      auto fetched = fetch_file(access_, task);
      if (!fetched.ok()) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = fetched.error();  // later ones are its consequence: we stop the others
        stop_ = true;
        return;
      }
      const std::uint64_t size = fetched->file.size;
      {
        const std::lock_guard lock(mutex_);
        set_.files[i] = std::move(fetched->file);
        received_ += fetched->received;
      }
      report(i, size, true);
    }
  }

  void report(std::size_t i, std::uint64_t bytes, bool done) {
    const std::lock_guard lock(mutex_);
    here_[i] = bytes;
    done_[i] = done_[i] || done;
    if (!progress_) return;
    progress_({static_cast<std::size_t>(std::count(done_.begin(), done_.end(), true)), set_.files.size(),
               std::accumulate(here_.begin(), here_.end(), std::uint64_t{0}), bytes_, set_.files[i].path});
  }

  HubAccess access_;
  FileSet& set_;
  const OnPullProgress& progress_;
  std::mutex mutex_;  // guards what follows, and entries of set_ once the threads run
  std::vector<std::uint64_t> here_;
  std::vector<bool> done_;
  std::optional<Error> error_;
  std::uint64_t bytes_ = 0, received_ = 0;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace

Result<std::uint64_t> fetch_files(const HubAccess& access, FileSet& set, int connections,
                                  const OnPullProgress& progress) {
  KAKEYA_TRY(make_directories(set));
  KAKEYA_TRY(check_space(set));
  return Work(access, set, progress).run(connections);
}

}  // namespace kakeya::hub
