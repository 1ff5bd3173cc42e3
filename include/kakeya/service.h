// Several requests on one engine: slots that decode together, a fair queue, reuse of cached prefixes,
// cancellation, sessions on disk. Thread-safe; one thread of its own runs the models.
#pragma once
#include <kakeya/session.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kakeya {

struct ServiceOptions {
  SessionOptions session;  // channels when a request names none; max_tokens is one slot's context
  std::vector<std::string> kv_allowed;              // channels that a request may name besides session.kv
  std::size_t slots = 4;                            // requests that decode together
  std::size_t max_queue = 64;                       // waiting beyond the slots; more are refused
  std::size_t prefix_bytes = std::size_t{1} << 30;  // packed prefixes kept beside the slots' own
};

struct ServiceRequest {
  std::vector<Token> prompt;
  GenerateOptions options;
  // Text that ends the answer and is not part of it. May be split over tokens.
  std::vector<std::string> stop_strings;
  std::string kv, draft_kv;  // empty = the service's
  std::string client;        // requests of one client wait for each other, not for those of others
  std::uint64_t group = 0;   // of one answer in several parts: drain() runs all of it or nothing. 0 = alone
  bool reuse_prefix = true;
  std::optional<int> slot;  // take this slot; it is waited for
};

// How a request went. Times from submit().
struct Usage {
  std::size_t prompt_tokens = 0, cached_tokens = 0;  // cached: of the prompt, not computed again
  std::size_t output_tokens = 0;
  double queued_ms = 0, prefill_ms = 0, decode_ms = 0;  // prefill: first pass to first token
};

struct Completion {
  FinishReason finish = FinishReason::kLength;
  std::string stop_string;  // which one ended the answer; empty otherwise
  std::optional<Token> stop_id;
  Usage usage;
  std::vector<Cycle> cycles;  // of this request
  Speculation speculation = Speculation::kOff;
  PolicyReport policy;
  std::string kv, draft_kv;  // channels in effect; draft_kv empty without a drafter
  int slot = 0;
};

struct ServiceEvent {
  enum class Kind {
    kStarted,   // left the queue: slot and cached_tokens are known
    kProgress,  // `done` of the prompt's tokens are in the cache
    kText,      // `text`, whole UTF-8 characters, and the tokens that settled it
    kFinished,  // `completion`; the last event
    kFailed,    // `error`; the last event
  };
  Kind kind = Kind::kStarted;
  int slot = 0;
  std::size_t prompt_tokens = 0, cached_tokens = 0, done = 0;
  std::string text;
  std::vector<Token> ids;
  std::vector<TokenLogprob> logprobs;         // of ids, when asked for
  std::vector<TokenLogprob> prompt_logprobs;  // of prompt[1], ..., when asked for; in the first kText
  std::vector<std::uint8_t> drafted;          // of ids: 1 = proposed by the draft and accepted
  double elapsed_ms = 0;                      // since submit()
  Completion completion;
  Error error{ErrorCode::kCancelled, ""};
};

// The answer to one request, pulled by its owner. Destroying it cancels the request.
class Answer {
 public:
  virtual ~Answer() = default;
  // The next event; nothing when `wait` passed without one, and after the last.
  virtual std::optional<ServiceEvent> next(std::chrono::milliseconds wait) = 0;
  virtual void cancel() = 0;  // soon; ends with kFinished, FinishReason::kCancelled
};

struct SlotInfo {
  int id = 0;
  bool busy = false;
  std::string kv;
  std::size_t context = 0;                           // tokens it has room for
  std::size_t cached = 0;                            // tokens in its cache
  std::size_t prompt_tokens = 0, output_tokens = 0;  // of the request it runs
};

// Sums since the start, and what is now.
struct ServiceStats {
  std::size_t running = 0, waiting = 0;
  std::uint64_t finished = 0, failed = 0, cancelled = 0, refused = 0;
  std::uint64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  std::uint64_t drafts = 0, proposed = 0, accepted = 0;  // cycles with a draft, and their tokens
  std::array<std::uint64_t, 64> accepted_at{};           // by position in the draft
  std::uint64_t passes = 0;                              // of the target
  std::uint64_t shared_passes = 0;                       // with rows of more than one request
  std::uint64_t shared_draft_passes = 0;                 // the same of the draft
  double busy_ms = 0;
  std::size_t kv_bytes = 0, draft_kv_bytes = 0;  // held by the slots
  std::size_t kv_tokens = 0;                     // in the slots' caches
  std::size_t prefix_bytes = 0, prefixes = 0;
  double heartbeat_age_ms = 0;  // since the loop that runs the models last turned; idle turns count
  std::vector<SlotInfo> slots;
};

class Service {
 public:
  virtual ~Service() = default;  // cancels what runs

  // Errors: kInvalidArgument as Session::generate, channel not in the allow-list, slot out of range;
  // kUnavailable when the queue is full or drain() was called.
  virtual Result<std::unique_ptr<Answer>> submit(ServiceRequest request) = 0;
  // Waits its turn among the requests. Errors: as Session::embed, and as submit.
  virtual Result<std::vector<float>> embed(std::span<const Token> ids) = 0;

  // Packed rows of a slot's cache with their tokens and the draft's context, in one file, written atomically.
  // Errors: kInvalidArgument (no such slot, busy, nothing in it), kIo.
  virtual Result<std::size_t> save_slot(int slot, const std::string& path) = 0;  // tokens saved
  // Errors: kNotFound, kCorruptData (checksum), kInvalidArgument (another model, draft or channel: names
  // both).
  virtual Result<std::size_t> restore_slot(int slot, const std::string& path) = 0;
  virtual Status erase_slot(int slot) = 0;

  // Takes no more requests; returns when the running ones are done, those that a free slot is there for,
  // and those that wait in a group of which one has begun; or ends them after `grace`. What else waits is
  // told at once (kUnavailable).
  virtual void drain(std::chrono::milliseconds grace) = 0;
  virtual ServiceStats stats() const = 0;
  virtual const ServiceOptions& options() const = 0;  // resolved
};

}  // namespace kakeya
