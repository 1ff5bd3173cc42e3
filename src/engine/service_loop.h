// Slots and passes: which requests run where, and which rows share the target's next pass. Used by one
// thread.
#pragma once
#include <kakeya/service.h>

#include <vector>

#include "engine/prefix_store.h"
#include "engine/slot.h"

namespace kakeya::engine {

class ServiceLoop {
 public:
  ServiceLoop(EngineState& state, const ServiceOptions& options);

  // Whether the job could start now.
  bool has_room(const Job& job) const;
  // Picks a slot, reuses what it can, starts the job. A job that cannot start fails through its answer.
  void start(Job job);
  // Ends the requests whose owner went away, or all.
  void end_cancelled(bool all);
  // One pass of the target over rows of running requests.
  void step();

  // While nobody waits: what ended requests left to the draft.
  void settle();

  std::size_t running() const;
  std::vector<std::unique_ptr<Slot>>& slots() { return slots_; }
  Result<std::vector<float>> embed(std::span<const Token> ids);
  // Sums and sizes as they are now; what the queue knows is left alone.
  void report(ServiceStats& stats) const;

 private:
  struct Entry {
    Slot* slot = nullptr;
    model::ForwardRequest request;
    bool prompt = false;
  };
  struct Source {
    Slot* slot = nullptr;
    const Prefix* prefix = nullptr;
    std::size_t common = 0, observed = 0;
  };

  Slot* choose_slot(const Job& job, std::size_t& kept);
  Source best_source(const Job& job);
  Slot* oldest_free(const std::string& kv, const std::string& draft_kv);
  void put_away(const Slot& slot);
  void gather(std::vector<Entry>& entries);
  void add(Slot& slot, std::size_t prompt_rows, std::vector<Entry>& entries);
  // Slots that decode in the next pass, their cycles planned and, where they share that, drafted.
  std::vector<Slot*> plan_cycles();
  void run_alone(std::vector<Entry>& entries);
  void absorb(Entry& entry, const decode::PassTime& time);
  void finish(Slot& slot, std::optional<FinishReason> cut);
  void fail(Slot& slot, Error error);
  void count(const Completion& completion);

  EngineState& state_;
  ServiceOptions options_;
  SharedScratch scratch_;
  std::vector<std::unique_ptr<Slot>> slots_;
  PrefixStore prefixes_;
  std::unique_ptr<kv::Cache> embed_kv_;  // made when first asked for
  std::uint64_t uses_ = 0;
  std::size_t turn_ = 0;  // slot that is first in the next pass
  ServiceStats sums_;
};

}  // namespace kakeya::engine
