// Fork-join over a fixed set of threads. Workers spin briefly for the next job, then sleep, so an idle
// engine leaves the machine idle. A job never waits for a worker that has not begun to help: on a busy
// machine the caller does the work itself. Which thread runs a task must never change a result.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace kakeya::base {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 means no worker is started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Memory for the caller's jobs, 64-byte aligned, not initialised; valid until the next call of scratch.
  // Grows when more is asked for and is kept, so that steady work allocates nothing.
  std::span<std::byte> scratch(std::size_t bytes);

  // Calls fn(task, thread) for every task in [0, tasks), thread in [0, threads()); returns when all are
  // done. Not reentrant: one caller at a time, no nested calls. fn must not throw.
  template <class F>
  void parallel_for(std::size_t tasks, F&& fn) {
    if (tasks == 0) return;
    if (tasks == 1 || workers_.empty()) {
      for (std::size_t i = 0; i < tasks; ++i) fn(i, 0);
      return;
    }
    run(
        tasks,
        [](void* context, std::size_t task, int thread) {
          (*static_cast<std::remove_reference_t<F>*>(context))(task, thread);
        },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

 private:
  using Call = void (*)(void* context, std::size_t task, int thread);
  void run(std::size_t tasks, Call call, void* context);
  bool join();
  void worker(int thread);
  void drain(int thread);

  struct Freer {
    void operator()(std::byte* p) const;
  };

  std::vector<std::thread> workers_;
  std::unique_ptr<std::byte[], Freer> scratch_;
  std::size_t scratch_bytes_ = 0;
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::size_t tasks_ = 0;
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::uint32_t> generation_{0};  // counts jobs; what workers wait on
  alignas(64) std::atomic<std::uint32_t> gate_{0};  // kOpen while a job may be joined, plus the workers in it
  std::atomic<bool> stop_{false};
};

// Cores that this process may use (affinity mask, then hardware concurrency), at least 1.
int usable_cores();

}  // namespace kakeya::base
