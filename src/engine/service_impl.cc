// Requests in, events out, and the thread between them.
#include "engine/service_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "engine/request_plan.h"
#include "model/fingerprint.h"

namespace kakeya::engine {
namespace {

// How often the loop turns when nothing runs: what the heartbeat's age may grow to.
constexpr std::chrono::milliseconds kIdleTurn{250};
// Of a request that asks for one: two such requests and a prompt fit in a pass.
constexpr std::size_t kWidestBlock = 112;

// Answers in several parts that are remembered, at least.
constexpr std::size_t kMostGroups = 1024;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

Error unavailable(std::string message) { return {ErrorCode::kUnavailable, std::move(message)}; }

}  // namespace

Result<std::unique_ptr<Service>> ServiceImpl::create(std::shared_ptr<EngineState> state,
                                                     const ServiceOptions& options) {
  ServiceOptions resolved = options;
  if (resolved.slots < 1 || resolved.slots > model::kMaxSequences) {
    return invalid_argument(
        fmt::format("service: slots is {}, expected 1 to {}", resolved.slots, model::kMaxSequences));
  }
  KAKEYA_ASSIGN(const SessionCaches probe, make_caches(*state, resolved.session));
  resolved.session = probe.options;
  for (const std::string& channel : resolved.kv_allowed) {
    SessionOptions other = resolved.session;
    other.kv = channel;
    if (const auto fits = make_caches(*state, other); !fits.ok()) return fits.error();
  }
  return std::unique_ptr<Service>(new ServiceImpl(std::move(state), std::move(resolved)));
}

ServiceImpl::ServiceImpl(std::shared_ptr<EngineState> state, ServiceOptions options)
    : state_(std::move(state)), options_(std::move(options)), loop_(*state_, options_) {
  turned_ns_ = now_ns();
  loop_.report(published_);
  thread_ = std::thread([this] { run(); });
}

ServiceImpl::~ServiceImpl() {
  drain(std::chrono::milliseconds(0));
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void ServiceImpl::wake() {
  {
    const std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_all();
}

Status ServiceImpl::check(ServiceRequest& request) const {
  const auto allowed = [&](const std::string& channel, const std::string& own) {
    return channel == own || std::ranges::find(options_.kv_allowed, channel) != options_.kv_allowed.end();
  };
  const auto list = [&](const std::string& own) {
    return options_.kv_allowed.empty() ? own
                                       : fmt::format("{}, {}", own, fmt::join(options_.kv_allowed, ", "));
  };
  if (request.kv.empty()) request.kv = options_.session.kv;
  if (request.draft_kv.empty()) request.draft_kv = options_.session.draft_kv;
  if (!allowed(request.kv, options_.session.kv)) {
    return invalid_argument(
        fmt::format("kv: found '{}', expected one of: {}", request.kv, list(options_.session.kv)));
  }
  if (!allowed(request.draft_kv, options_.session.draft_kv)) {
    return invalid_argument(fmt::format("draft_kv: found '{}', expected one of: {}", request.draft_kv,
                                        list(options_.session.draft_kv)));
  }
  if (request.slot && (*request.slot < 0 || static_cast<std::size_t>(*request.slot) >= options_.slots)) {
    return invalid_argument(
        fmt::format("slot: found {}, expected 0 to {}", *request.slot, options_.slots - 1));
  }
  if (request.options.block_size > kWidestBlock) {
    return invalid_argument(
        fmt::format("block_size: found {}, expected at most {} in passes that requests share",
                    request.options.block_size, kWidestBlock));
  }
  KAKEYA_TRY(check_ids(*state_, "prompt", request.prompt));
  if (request.options.prompt_logprobs >= 0) request.reuse_prefix = false;
  return check_length(*state_, "generate", request.prompt.size(),
                      static_cast<std::size_t>(std::max(request.options.max_tokens, 0)),
                      options_.session.max_tokens);
}

Result<std::unique_ptr<Answer>> ServiceImpl::submit(ServiceRequest request) {
  KAKEYA_TRY(check(request));
  auto answer = std::make_shared<AnswerState>([this] { wake(); });
  {
    const std::lock_guard lock(mutex_);
    if (closing_) {
      ++refused_;
      return unavailable("service: it is closing and takes no more requests");
    }
    // Free slots are taken from the queue by the loop, so requests that will start at once do not count.
    const std::size_t free = options_.slots - std::min(options_.slots, published_.running);
    if (queue_.size() >= options_.max_queue + free) {
      ++refused_;
      return unavailable(
          fmt::format("service: {} requests are waiting, which is as many as may", queue_.size()));
    }
    const std::string client = request.client;
    queue_.push(client, Job{std::move(request), answer});
    poked_ = true;
  }
  wake_.notify_all();
  return std::unique_ptr<Answer>(std::make_unique<AnswerImpl>(std::move(answer)));
}

void ServiceImpl::drop_cancelled() {
  queue_.remove_if([](const Job& job) { return job.answer->cancelled(); },
                   [&](Job& job) {
                     begun_groups_.erase(job.request.group);  // who asked for all of it has left
                     ++left_waiting_;
                     ServiceEvent event;
                     event.kind = ServiceEvent::Kind::kFinished;
                     event.completion.finish = FinishReason::kCancelled;
                     event.completion.usage.prompt_tokens = job.request.prompt.size();
                     job.answer->push(std::move(event));
                   });
}

void ServiceImpl::note_group(std::uint64_t group) {
  if (group == 0) return;
  begun_groups_.insert(group);
  if (begun_groups_.size() <= kMostGroups) return;
  // More of the newest may be on their way here; of the others all has come.
  std::erase_if(begun_groups_, [&](std::uint64_t known) {
    return known != group &&
           !queue_.any_of([&](const Job& waiting) { return waiting.request.group == known; });
  });
}

void ServiceImpl::admit(std::unique_lock<std::mutex>& lock) {
  while (auto job = queue_.pop([&](const Job& waiting) { return loop_.has_room(waiting); })) {
    starting_ = true;
    ++taken_;
    note_group(job->request.group);
    lock.unlock();
    loop_.start(std::move(*job));
    lock.lock();
  }
  starting_ = false;
}

bool ServiceImpl::idle() const {
  return queue_.size() == 0 && published_.running == 0 && commands_.empty() && !starting_;
}

void ServiceImpl::publish() {
  published_.waiting = queue_.size();
  loop_.report(published_);
  taken_ = 0;
  if (idle()) drained_.notify_all();
}

void ServiceImpl::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    turned_ns_ = now_ns();
    drop_cancelled();
    lock.unlock();
    loop_.end_cancelled(cancel_all_);
    lock.lock();
    if (!commands_.empty()) {  // one a turn: clients that send them without a pause stop nobody
      auto command = std::move(commands_.front());
      commands_.pop_front();
      lock.unlock();
      command();
      lock.lock();
    }
    admit(lock);
    publish();
    if (loop_.running() == 0) {
      if (!commands_.empty()) continue;
      if (stopping_) return;
      if (!poked_) {
        lock.unlock();
        loop_.settle();
        lock.lock();
        if (!commands_.empty()) continue;
      }
      wake_.wait_for(lock, kIdleTurn, [this] { return poked_ || stopping_; });
      poked_ = false;
      continue;
    }
    poked_ = false;
    lock.unlock();
    loop_.step();
    lock.lock();
  }
}

template <class T>
Result<T> ServiceImpl::on_loop(std::function<Result<T>()> work) {
  auto task = std::make_shared<std::packaged_task<Result<T>()>>(std::move(work));
  auto done = task->get_future();
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return unavailable("service: it is closing");
    if (commands_.size() >= options_.max_queue + options_.slots) {
      ++refused_;
      return unavailable(
          fmt::format("service: {} calls are waiting, which is as many as may", commands_.size()));
    }
    commands_.push_back([task] { (*task)(); });
    poked_ = true;
  }
  wake_.notify_all();
  return done.get();
}

Result<std::vector<float>> ServiceImpl::embed(std::span<const Token> ids) {
  KAKEYA_TRY(check_ids(*state_, "embed", ids));
  KAKEYA_TRY(check_length(*state_, "embed", ids.size(), 0, options_.session.max_tokens));
  return on_loop<std::vector<float>>([&] { return loop_.embed(ids); });
}

Result<Slot*> ServiceImpl::idle_slot(int slot) {
  if (slot < 0 || static_cast<std::size_t>(slot) >= options_.slots) {
    return invalid_argument(fmt::format("slot: found {}, expected 0 to {}", slot, options_.slots - 1));
  }
  Slot* found = loop_.slots()[static_cast<std::size_t>(slot)].get();
  if (found->busy()) return invalid_argument(fmt::format("slot {}: busy, expected one that is idle", slot));
  return found;
}

SequenceIdentity ServiceImpl::identity(const Slot& slot) {
  SequenceIdentity out;
  if (target_fingerprint_.empty()) {
    const ModelInfo& info = state_->target_info;
    target_fingerprint_ =
        model::model_fingerprint(state_->target->config(), state_->target->tensors(), info.path);
    if (state_->draft) {
      const ModelInfo& draft = *state_->draft_info;
      draft_fingerprint_ =
          model::model_fingerprint(state_->draft->config(), state_->draft->tensors(), draft.path);
    }
  }
  out.target_fingerprint = target_fingerprint_;
  out.draft_fingerprint = draft_fingerprint_;
  out.kv = slot.kv();
  out.draft_kv = state_->draft ? slot.draft_kv() : "";
  out.boundary = options_.session.boundary;
  return out;
}

Result<std::size_t> ServiceImpl::save_slot(int slot, const std::string& path) {
  return on_loop<std::size_t>([&]() -> Result<std::size_t> {
    KAKEYA_ASSIGN(Slot * from, idle_slot(slot));
    if (from->tokens().empty()) return invalid_argument(fmt::format("slot {}: empty, nothing to save", slot));
    const SequenceIdentity who = identity(*from);
    loop_.settle();
    Prefix held = from->save();
    SavedSequence saved{std::move(held.tokens), held.draft_length, std::move(held.rows),
                        std::move(held.draft_rows)};
    KAKEYA_TRY(write_sequence(path, who, saved));
    return saved.tokens.size();
  });
}

Result<std::size_t> ServiceImpl::restore_slot(int slot, const std::string& path) {
  return on_loop<std::size_t>([&]() -> Result<std::size_t> {
    KAKEYA_ASSIGN(Slot * to, idle_slot(slot));
    const std::lock_guard turn(state_->pool_mutex);
    KAKEYA_TRY(to->take_channels(to->has_caches() ? to->kv() : options_.session.kv,
                                 to->has_caches() ? to->draft_kv() : options_.session.draft_kv));
    const SequenceIdentity who = identity(*to);
    KAKEYA_ASSIGN(
        SavedSequence saved,
        read_sequence(path, who, {options_.session.max_tokens, state_->target->config().vocab_size}));
    Prefix prefix{to->kv(),           to->draft_kv(),        std::move(saved.tokens),
                  saved.draft_length, std::move(saved.rows), std::move(saved.draft_rows)};
    if (const Status loaded = to->load(prefix); !loaded.ok()) {
      return Error{loaded.error().code, fmt::format("{}: {}", path, loaded.error().message)};
    }
    return prefix.tokens.size();
  });
}

Status ServiceImpl::erase_slot(int slot) {
  const auto erased = on_loop<bool>([&]() -> Result<bool> {
    KAKEYA_ASSIGN(Slot * found, idle_slot(slot));
    found->erase();
    return true;
  });
  return erased.ok() ? Status{} : Status(erased.error());
}

template <class F>
void ServiceImpl::turn_away(F&& unwanted) {
  queue_.remove_if(unwanted, [](Job& job) {
    ServiceEvent event;
    event.kind = ServiceEvent::Kind::kFailed;
    event.error = unavailable("service: it is closing");
    job.answer->push(std::move(event));
  });
}

void ServiceImpl::drain(std::chrono::milliseconds grace) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  // What waits is told at once, but for the rest of an answer that has begun and for those that a free slot
  // is there for: the loop has not turned since they came. What runs may finish.
  std::size_t free = options_.slots - std::min(options_.slots, published_.running + taken_);
  turn_away([&](const Job& job) {
    if (begun_groups_.contains(job.request.group)) return false;
    if (free == 0) return true;
    --free;
    if (job.request.group != 0) begun_groups_.insert(job.request.group);
    return false;
  });
  if (drained_.wait_for(lock, grace, [this] { return idle(); })) return;
  turn_away([](const Job&) { return true; });
  cancel_all_ = true;
  poked_ = true;
  wake_.notify_all();
  drained_.wait(lock, [this] { return idle(); });
}

ServiceStats ServiceImpl::stats() const {
  const std::lock_guard lock(mutex_);
  ServiceStats out = published_;
  out.waiting = queue_.size();
  out.cancelled += left_waiting_;
  out.refused = refused_;
  out.heartbeat_age_ms = static_cast<double>(now_ns() - turned_ns_) / 1e6;
  return out;
}

Result<std::unique_ptr<Service>> make_service(std::shared_ptr<EngineState> state,
                                              const ServiceOptions& options) {
  return ServiceImpl::create(std::move(state), options);
}

}  // namespace kakeya::engine
