// The service: a door for requests from any thread, and the loop that runs them. docs/architecture.md has the
// picture.
#pragma once
#include <kakeya/service.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "engine/fair_queue.h"
#include "engine/service_loop.h"
#include "engine/session_file.h"

namespace kakeya::engine {

class ServiceImpl final : public Service {
 public:
  static Result<std::unique_ptr<Service>> create(std::shared_ptr<EngineState> state,
                                                 const ServiceOptions& options);
  ~ServiceImpl() override;

  Result<std::unique_ptr<Answer>> submit(ServiceRequest request) override;
  Result<std::vector<float>> embed(std::span<const Token> ids) override;
  Result<std::size_t> save_slot(int slot, const std::string& path) override;
  Result<std::size_t> restore_slot(int slot, const std::string& path) override;
  Status erase_slot(int slot) override;
  void drain(std::chrono::milliseconds grace) override;
  ServiceStats stats() const override;
  const ServiceOptions& options() const override { return options_; }

 private:
  ServiceImpl(std::shared_ptr<EngineState> state, ServiceOptions options);

  void run();
  void wake();
  void admit(std::unique_lock<std::mutex>& lock);
  void note_group(std::uint64_t group);  // one of it has left the queue; mutex_ held
  void drop_cancelled();                 // mutex_ held
  void publish();                        // mutex_ held
  bool idle() const;                     // mutex_ held
  // Takes the waiting ones that `unwanted` picks out of the queue and tells them. mutex_ held.
  template <class F>
  void turn_away(F&& unwanted);
  // Runs `work` on the loop's thread between two passes and waits for it.
  template <class T>
  Result<T> on_loop(std::function<Result<T>()> work);
  Result<Slot*> idle_slot(int slot);
  SequenceIdentity identity(const Slot& slot);
  Status check(ServiceRequest& request) const;

  std::shared_ptr<EngineState> state_;
  ServiceOptions options_;
  ServiceLoop loop_;
  std::string target_fingerprint_, draft_fingerprint_;  // made when first needed, on the loop's thread

  mutable std::mutex mutex_;
  std::condition_variable wake_, drained_;
  FairQueue<Job> queue_;
  std::set<std::uint64_t> begun_groups_;  // of which one has left the queue; no more than are of use
  std::deque<std::function<void()>> commands_;
  ServiceStats published_;
  std::atomic<std::int64_t> turned_ns_{0};  // steady clock, when the loop last turned
  std::atomic<std::uint64_t> refused_{0};
  std::uint64_t left_waiting_ = 0;  // requests cancelled before they had a slot
  bool poked_ = false, stopping_ = false;
  bool starting_ = false;  // a job is between the queue and its slot
  std::size_t taken_ = 0;  // jobs that left the queue since published_ was made
  std::atomic<bool> cancel_all_{false};
  std::atomic<bool> closing_{false};
  std::thread thread_;
};

}  // namespace kakeya::engine
