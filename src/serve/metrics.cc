#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kakeya::serve {
namespace {

constexpr std::array<double, 15> kBounds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                            5,    10,    20,   40,  80,   160, 320};  // seconds
constexpr std::uint64_t kRollingCycles = 256;  // looked at by the tripwire
constexpr std::uint64_t kEnoughCycles = 32;

using Out = std::back_insert_iterator<std::string>;

void head(std::string& out, const char* name, const char* type, const char* help) {
  fmt::format_to(Out(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <class T>
void value(std::string& out, const char* name, const char* type, const char* help, const std::string& labels,
           T v) {
  head(out, name, type, help);
  fmt::format_to(Out(out), "{}{{{}}} {}\n", name, labels, v);
}

// Text inside a label's quotes.
std::string label_text(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\\' || c == '"') safe += '\\';
    if (c == '\n') {
      safe += "\\n";
    } else {
      safe += c;
    }
  }
  return safe;
}

void write_speculation(std::string& out, const ServiceStats& stats, const std::string& model) {
  value(out, "vllm:spec_decode_num_drafts_total", "counter", "Cycles with a draft.", model, stats.drafts);
  value(out, "vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens proposed.", model, stats.proposed);
  value(out, "vllm:spec_decode_num_accepted_tokens_total", "counter", "Proposed tokens accepted.", model,
        stats.accepted);
  const char* name = "vllm:spec_decode_num_accepted_tokens_per_pos_total";
  head(out, name, "counter", "Accepted tokens by position in the draft.");
  for (std::size_t i = 0; i < stats.accepted_at.size(); ++i) {
    if (i > 0 && stats.accepted_at[i] == 0) continue;
    fmt::format_to(Out(out), "{}{{{},position=\"{}\"}} {}\n", name, model, i, stats.accepted_at[i]);
  }
}

void write_requests(std::string& out, const ServiceStats& stats, const std::string& model, double usage) {
  value(out, "vllm:num_requests_running", "gauge", "Requests that hold a slot.", model, stats.running);
  value(out, "vllm:num_requests_waiting", "gauge", "Requests in the queue.", model, stats.waiting);
  value(out, "vllm:prompt_tokens_total", "counter", "Prompt tokens, cached ones too.", model,
        stats.prompt_tokens);
  value(out, "vllm:generation_tokens_total", "counter", "Tokens made.", model, stats.output_tokens);
  value(out, "vllm:kv_cache_usage_perc", "gauge", "Share of the slots' positions in use, 0 to 1.", model,
        usage);
}

void write_own(std::string& out, const ServiceStats& stats, const std::string& model, std::size_t slots) {
  value(out, "kakeya_slots", "gauge", "Requests that can decode together.", model, slots);
  value(out, "kakeya_requests_failed_total", "counter", "Requests that ended in an error.", model,
        stats.failed);
  value(out, "kakeya_requests_cancelled_total", "counter", "Requests whose client left.", model,
        stats.cancelled);
  value(out, "kakeya_requests_refused_total", "counter", "Requests refused: queue full or closing.", model,
        stats.refused);
  value(out, "kakeya_prefix_cached_tokens_total", "counter", "Prompt tokens found in a cache.", model,
        stats.cached_tokens);
  value(out, "kakeya_prefix_bytes", "gauge", "Packed prefixes kept beside the slots.", model,
        stats.prefix_bytes);
  value(out, "kakeya_prefixes", "gauge", "Their number.", model, stats.prefixes);
  value(out, "kakeya_kv_bytes", "gauge", "KV cache of the target, all slots.", model, stats.kv_bytes);
  value(out, "kakeya_draft_kv_bytes", "gauge", "KV cache of the draft, all slots.", model,
        stats.draft_kv_bytes);
  value(out, "kakeya_kv_tokens", "gauge", "Tokens in the slots' caches.", model, stats.kv_tokens);
  value(out, "kakeya_target_passes_total", "counter", "Passes of the target.", model, stats.passes);
  value(out, "kakeya_shared_passes_total", "counter", "Passes with rows of several requests.", model,
        stats.shared_passes);
  value(out, "kakeya_shared_draft_passes_total", "counter", "Passes of the draft for several requests.",
        model, stats.shared_draft_passes);
  value(out, "kakeya_busy_seconds_total", "counter", "Time that the models ran.", model,
        stats.busy_ms / 1000);
  value(out, "kakeya_heartbeat_age_seconds", "gauge", "Since the loop that runs the models last turned.",
        model, stats.heartbeat_age_ms / 1000);
}

template <class T>
void bare(std::string& out, const char* name, const char* type, const char* help, T v) {
  head(out, name, type, help);
  fmt::format_to(Out(out), "{} {}\n", name, v);
}

// The counters of llama-server, without labels as there.
void write_llama(std::string& out, const ServiceStats& stats, const Finished& done) {
  const std::uint64_t computed = stats.prompt_tokens - std::min(stats.cached_tokens, stats.prompt_tokens);
  const auto rate = [](std::uint64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  };
  bare(out, "llamacpp:prompt_tokens_total", "counter", "Prompt tokens computed.", computed);
  bare(out, "llamacpp:prompt_tokens_cached_total", "counter", "Prompt tokens found in a cache.",
       stats.cached_tokens);
  bare(out, "llamacpp:prompt_seconds_total", "counter", "Time of prompts of finished requests.",
       done.prefill_s);
  bare(out, "llamacpp:prompt_tokens_seconds", "gauge", "Prompt tokens a second.",
       rate(done.prompt_tokens, done.prefill_s));
  bare(out, "llamacpp:tokens_predicted_total", "counter", "Tokens made.", stats.output_tokens);
  bare(out, "llamacpp:tokens_predicted_seconds_total", "counter", "Time of finished answers.", done.decode_s);
  bare(out, "llamacpp:predicted_tokens_seconds", "gauge", "Tokens made a second, of one request.",
       rate(done.output_tokens, done.decode_s));
  bare(out, "llamacpp:requests_processing", "gauge", "Requests that hold a slot.", stats.running);
  bare(out, "llamacpp:requests_deferred", "gauge", "Requests in the queue.", stats.waiting);
  bare(out, "llamacpp:n_decode_total", "counter", "Passes of the target.", stats.passes);
  bare(out, "llamacpp:spec_decode_num_drafts_total", "counter", "Cycles with a draft.", stats.drafts);
  bare(out, "llamacpp:spec_decode_num_draft_tokens_total", "counter", "Tokens proposed.", stats.proposed);
  bare(out, "llamacpp:spec_decode_num_accepted_tokens_total", "counter", "Proposed tokens accepted.",
       stats.accepted);
}

}  // namespace

void Metrics::observe(Histogram& histogram, double seconds) {
  std::size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  ++histogram.counts[i];
  ++histogram.total;
  histogram.sum += seconds;
}

void Metrics::first_token(double ms) {
  const std::lock_guard lock(mutex_);
  observe(first_token_, ms / 1000);
}

void Metrics::finished(const Completion& completion, double total_ms) {
  std::uint64_t cycles = 0, length = 0;
  for (const Cycle& cycle : completion.cycles) {
    if (cycle.proposed == 0) continue;
    ++cycles;
    length += cycle.length();
  }
  const std::lock_guard lock(mutex_);
  observe(total_, total_ms / 1000);
  ++finished_[to_string(completion.finish)];
  const Usage& usage = completion.usage;
  done_.prefill_s += usage.prefill_ms / 1000;
  done_.decode_s += usage.decode_ms / 1000;
  if (usage.output_tokens > 0) {
    done_.prompt_tokens += usage.prompt_tokens - std::min(usage.cached_tokens, usage.prompt_tokens);
    done_.output_tokens += usage.output_tokens - 1;  // the first came with the prompt
  }
  if (completion.usage.output_tokens > 1) {
    observe(per_token_,
            completion.usage.decode_ms / 1000 / static_cast<double>(completion.usage.output_tokens - 1));
  }
  if (cycles == 0) return;
  recent_.emplace_back(cycles, length);
  recent_cycles_ += cycles;
  recent_length_ += length;
  while (recent_.size() > 1 && recent_cycles_ - recent_.front().first >= kRollingCycles) {
    recent_cycles_ -= recent_.front().first;
    recent_length_ -= recent_.front().second;
    recent_.pop_front();
  }
  const bool below =
      tripwire_limit_ > 0 && recent_cycles_ >= kEnoughCycles &&
      static_cast<double>(recent_length_) < tripwire_limit_ * static_cast<double>(recent_cycles_);
  if (below && !below_) {
    ++tripped_;
    fmt::print(stderr,
               "tripwire: acceptance length {:.2f} over the last {} cycles, expected at least {:.2f}\n",
               static_cast<double>(recent_length_) / static_cast<double>(recent_cycles_), recent_cycles_,
               tripwire_limit_);
  }
  below_ = below;
}

void Metrics::http(const std::string& route, int status) {
  const std::lock_guard lock(mutex_);
  ++http_[{route, status}];
}

void Metrics::abandoned() {
  const std::lock_guard lock(mutex_);
  ++abandoned_;
}

double Metrics::rolling_acceptance() const {
  const std::lock_guard lock(mutex_);
  return recent_cycles_ < kEnoughCycles
             ? 0
             : static_cast<double>(recent_length_) / static_cast<double>(recent_cycles_);
}

bool Metrics::tripped() const {
  const std::lock_guard lock(mutex_);
  return below_;
}

void Metrics::write(std::string& out, const char* name, const char* help, const std::string& model,
                    const Histogram& histogram) {
  head(out, name, "histogram", help);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    sum += histogram.counts[i];
    fmt::format_to(Out(out), "{}_bucket{{{},le=\"{}\"}} {}\n", name, model, kBounds[i], sum);
  }
  fmt::format_to(Out(out), "{}_bucket{{{},le=\"+Inf\"}} {}\n", name, model, histogram.total);
  fmt::format_to(Out(out), "{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, model, histogram.sum, name, model,
                 histogram.total);
}

std::string Metrics::text(const ServiceStats& stats, std::size_t slots, std::size_t context_tokens,
                          const std::string& model_id) const {
  const std::string model = fmt::format("model_name=\"{}\"", label_text(model_id));
  const double room = static_cast<double>(slots) * static_cast<double>(context_tokens);
  std::string out;
  write_requests(out, stats, model, room > 0 ? static_cast<double>(stats.kv_tokens) / room : 0);
  write_speculation(out, stats, model);
  write_own(out, stats, model, slots);
  const double rolling = rolling_acceptance();
  const std::lock_guard lock(mutex_);
  write_llama(out, stats, done_);
  write(out, "vllm:time_to_first_token_seconds", "From arrival to the first token.", model, first_token_);
  write(out, "vllm:time_per_output_token_seconds", "Between tokens of one request.", model, per_token_);
  write(out, "vllm:e2e_request_latency_seconds", "From arrival to the last token.", model, total_);
  head(out, "vllm:request_success_total", "counter", "Finished requests by reason.");
  for (const auto& [reason, count] : finished_) {
    fmt::format_to(Out(out), "vllm:request_success_total{{{},finished_reason=\"{}\"}} {}\n", model, reason,
                   count);
  }
  value(out, "kakeya_clients_gone_total", "counter", "Clients that left before their answer was whole.",
        model, abandoned_);
  value(out, "kakeya_acceptance_length", "gauge", "Mean over recent cycles with a draft; 0 = too few.", model,
        rolling);
  value(out, "kakeya_tripwire_total", "counter", "Times that it fell below --tripwire.", model, tripped_);
  value(out, "kakeya_tripwire_active", "gauge", "1 while it is below.", model, below_ ? 1 : 0);
  head(out, "kakeya_http_requests_total", "counter", "Responses by route and status.");
  for (const auto& [key, count] : http_) {
    fmt::format_to(Out(out), "kakeya_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n",
                   label_text(key.first), key.second, count);
  }
  return out;
}

}  // namespace kakeya::serve
