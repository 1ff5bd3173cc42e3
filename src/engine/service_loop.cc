// Choosing slots and running passes.
#include "engine/service_loop.h"

#include <algorithm>
#include <array>

#include "decode/embed.h"

namespace kakeya::engine {
namespace {

// Shorter agreements are not worth a copy, shorter remainders not worth keeping.
constexpr std::size_t kWorthTokens = 32;

}  // namespace

ServiceLoop::ServiceLoop(EngineState& state, const ServiceOptions& options)
    : state_(state), options_(options), prefixes_(options.prefix_bytes) {
  scratch_.target = state_.target->make_scratch();
  if (state_.draft) scratch_.draft = state_.draft->make_scratch();
  for (std::size_t i = 0; i < options_.slots; ++i) {
    slots_.push_back(std::make_unique<Slot>(state_, scratch_, options_.session, static_cast<int>(i)));
  }
}

std::size_t ServiceLoop::running() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return slot->busy(); }));
}

bool ServiceLoop::has_room(const Job& job) const {
  if (job.request.slot) return !slots_[static_cast<std::size_t>(*job.request.slot)]->busy();
  return running() < slots_.size();
}

ServiceLoop::Source ServiceLoop::best_source(const Job& job) {
  const ServiceRequest& request = job.request;
  Source best;
  if (!request.reuse_prefix) return best;
  for (const auto& slot : slots_) {
    if (!slot->has_caches() || slot->kv() != request.kv || slot->draft_kv() != request.draft_kv) continue;
    const std::size_t common = common_length(slot->tokens(), request.prompt);
    // Of two alike the free one: its rows are where they are needed.
    if (common > best.common || (common == best.common && best.slot != nullptr && best.slot->busy())) {
      best = {slot.get(), nullptr, common, std::min(slot->draft_length(), common)};
    }
  }
  const Prefix* prefix = prefixes_.find(request.prompt, request.kv, request.draft_kv);
  if (prefix == nullptr) return best;
  const std::size_t common = common_length(prefix->tokens, request.prompt);
  if (common >= best.common + kWorthTokens) {
    best = {nullptr, prefix, common, std::min(prefix->draft_length, common)};
  }
  return best;
}

Slot* ServiceLoop::oldest_free(const std::string& kv, const std::string& draft_kv) {
  Slot* best = nullptr;
  // Empty slots first, then those in the right channels, then the one not used for longest.
  const auto rank = [&](const Slot& slot) {
    const bool fits = slot.has_caches() && slot.kv() == kv && slot.draft_kv() == draft_kv;
    return std::array<std::uint64_t, 3>{slot.tokens().empty() ? 0u : 1u, fits ? 0u : 1u, slot.last_used()};
  };
  for (const auto& slot : slots_) {
    if (!slot->busy() && (best == nullptr || rank(*slot) < rank(*best))) best = slot.get();
  }
  return best;
}

void ServiceLoop::put_away(const Slot& slot) {
  if (slot.tokens().size() < kWorthTokens) return;
  Prefix prefix = slot.save();
  prefixes_.add(std::move(prefix));
}

// The slot, with the first `kept` tokens of the prompt in its caches. Null: the caches could not be made.
Slot* ServiceLoop::choose_slot(const Job& job, std::size_t& kept) {
  const ServiceRequest& request = job.request;
  const Source source = best_source(job);
  kept = 0;
  Slot* slot = request.slot ? slots_[static_cast<std::size_t>(*request.slot)].get() : nullptr;
  // In place when most of what is cached there goes on to be used.
  const bool in_place = source.slot != nullptr && !source.slot->busy() && source.common > 0 &&
                        (slot == nullptr || slot == source.slot) &&
                        2 * source.common >= source.slot->tokens().size();
  if (in_place) {
    slot = source.slot;
    slot->settle();
    kept = slot->reusable(request, source.common, std::min(slot->draft_length(), source.common));
    return slot;
  }
  if (slot == nullptr) slot = oldest_free(request.kv, request.draft_kv);
  // What the slot holds is copied before it goes; what is to be loaded, before that may push it out.
  Prefix loaded;
  if (source.common >= kWorthTokens) {
    if (source.slot != nullptr) source.slot->settle();
    loaded = source.prefix != nullptr ? *source.prefix : source.slot->save();
  }
  if (slot->has_caches()) put_away(*slot);
  if (const Status made = slot->take_channels(request.kv, request.draft_kv); !made.ok()) {
    ServiceEvent event;
    event.kind = ServiceEvent::Kind::kFailed;
    event.error = made.error();
    job.answer->push(std::move(event));
    return nullptr;
  }
  slot->erase();
  if (loaded.tokens.empty() || !slot->load(loaded).ok()) return slot;
  kept = slot->reusable(request, source.common, source.observed);
  return slot;
}

void ServiceLoop::start(Job job) {
  const std::lock_guard turn(state_.pool_mutex);
  std::size_t kept = 0;
  Slot* slot = choose_slot(job, kept);
  const auto answer = job.answer;
  Status started = slot == nullptr ? Status(Error{ErrorCode::kOutOfMemory, ""})
                                   : slot->start(std::move(job), kept, ++uses_);
  if (started.ok()) return;
  ++sums_.failed;
  if (slot == nullptr) return;  // it was told
  ServiceEvent event;
  event.kind = ServiceEvent::Kind::kFailed;
  event.error = started.error();
  answer->push(std::move(event));
}

void ServiceLoop::settle() {
  const std::lock_guard turn(state_.pool_mutex);
  for (const auto& slot : slots_) slot->settle();
}

void ServiceLoop::count(const Completion& completion) {
  ++(completion.finish == FinishReason::kCancelled ? sums_.cancelled : sums_.finished);
  sums_.prompt_tokens += completion.usage.prompt_tokens;
  sums_.cached_tokens += completion.usage.cached_tokens;
}

void ServiceLoop::finish(Slot& slot, std::optional<FinishReason> cut) { count(slot.finish(cut)); }

void ServiceLoop::fail(Slot& slot, Error error) {
  ++sums_.failed;
  slot.fail(std::move(error));
}

void ServiceLoop::end_cancelled(bool all) {
  const std::lock_guard turn(state_.pool_mutex);
  for (const auto& slot : slots_) {
    if (slot->busy() && (all || slot->job().answer->cancelled())) finish(*slot, FinishReason::kCancelled);
  }
}

void ServiceLoop::absorb(Entry& entry, const decode::PassTime& time) {
  Slot& slot = *entry.slot;
  const std::size_t cycles = slot.decoder().cycles().size();
  const auto ids = slot.decoder().absorb(time);
  if (!ids.ok()) {
    fail(slot, ids.error());
    return;
  }
  if (slot.decoder().cycles().size() > cycles && slot.decoder().cycles().back().proposed > 0) {
    const Cycle& cycle = slot.decoder().cycles().back();
    ++sums_.drafts;
    sums_.proposed += cycle.proposed;
    sums_.accepted += cycle.accepted;
    for (std::size_t i = 0; i < std::min<std::size_t>(cycle.accepted, sums_.accepted_at.size()); ++i) {
      ++sums_.accepted_at[i];
    }
  }
  if (entry.prompt) slot.progress();
  if (ids->empty() && !slot.decoder().finished()) return;
  const std::size_t before = slot.output_tokens();
  const bool ended = slot.deliver(*ids);
  sums_.output_tokens += slot.output_tokens() - before;  // not those behind a stop string
  if (ended) finish(slot, std::nullopt);
}

// After a shared pass that failed: each on its own, so that only the one to blame ends.
void ServiceLoop::run_alone(std::vector<Entry>& entries) {
  for (Entry& entry : entries) {
    decode::PassTime time{0, true, 0, sums_.passes, 1, 0};
    const double start = decode::steady_clock_ms();
    const Status passed = state_.target->forward(state_.compute, entry.request, *scratch_.target,
                                                 entry.slot->target().result());
    time.ms = decode::steady_clock_ms() - start;
    ++sums_.passes;
    if (passed.ok()) {
      absorb(entry, time);
    } else {
      fail(*entry.slot, passed.error());
    }
  }
}

void ServiceLoop::step() {
  const std::lock_guard turn(state_.pool_mutex);
  const double start = decode::steady_clock_ms();
  std::vector<Entry> entries;
  gather(entries);
  if (entries.empty()) return;
  const double gathered = decode::steady_clock_ms() - start;
  std::vector<model::ForwardRequest> requests;
  std::vector<model::ForwardResult*> results;
  std::size_t rows = 0;
  bool prompts = false, drafts = false;
  for (Entry& entry : entries) {
    requests.push_back(entry.request);
    results.push_back(&entry.slot->target().result());
    rows += entry.request.tokens.size();
    prompts = prompts || entry.prompt;
    drafts = drafts || (!entry.prompt && entry.request.tokens.size() > 1);
  }
  const double pass_start = decode::steady_clock_ms();
  const Status passed = state_.target->forward(state_.compute, requests, *scratch_.target, results);
  const double ms = decode::steady_clock_ms() - pass_start;
  const bool shared = entries.size() > 1;
  ++sums_.passes;
  if (shared) ++sums_.shared_passes;
  if (!passed.ok() && shared) {
    run_alone(entries);
  } else if (!passed.ok()) {
    fail(*entries.front().slot, passed.error());
  } else {
    for (Entry& entry : entries) {
      decode::PassTime time{ms,           shared,         prompts ? 0 : rows,
                            sums_.passes, entries.size(), drafts ? gathered : 0};
      // A prompt pays for its rows; a cycle lasts as long as its pass.
      if (entry.prompt)
        time.ms *= static_cast<double>(entry.request.tokens.size()) / static_cast<double>(rows);
      absorb(entry, time);
    }
  }
  sums_.busy_ms += decode::steady_clock_ms() - start;
}

Result<std::vector<float>> ServiceLoop::embed(std::span<const Token> ids) {
  const std::lock_guard turn(state_.pool_mutex);
  if (embed_kv_ == nullptr) {
    KAKEYA_ASSIGN(SessionCaches caches, make_caches(state_, options_.session));
    embed_kv_ = std::move(caches.kv);
  }
  decode::TargetRun target(*state_.target, *embed_kv_, *scratch_.target, state_.compute);
  auto out = decode::embed(target, *state_.target, state_.compute, ids);
  if (out.ok()) sums_.prompt_tokens += ids.size();
  return out;
}

void ServiceLoop::report(ServiceStats& stats) const {
  const ServiceStats queue = stats;
  stats = sums_;
  stats.waiting = queue.waiting;
  stats.refused = queue.refused;
  stats.running = running();
  stats.prefix_bytes = prefixes_.bytes();
  stats.prefixes = prefixes_.size();
  for (const auto& slot : slots_) {
    SlotInfo info;
    info.id = slot->id();
    info.busy = slot->busy();
    info.kv = slot->kv();
    info.context = options_.session.max_tokens;
    info.cached = slot->tokens().size();
    if (slot->busy()) {
      info.prompt_tokens = slot->job().request.prompt.size();
      info.output_tokens = slot->output_tokens();
    }
    stats.kv_tokens += info.cached;
    const Slot::KvBytes bytes = slot->kv_bytes();
    stats.kv_bytes += bytes.target;
    stats.draft_kv_bytes += bytes.draft;
    stats.slots.push_back(std::move(info));
  }
}

}  // namespace kakeya::engine
