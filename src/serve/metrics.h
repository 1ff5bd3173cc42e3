// Counters of the server, in Prometheus' text format. Thread-safe.
#pragma once
#include <kakeya/service.h>

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace kakeya::serve {

// Sums over finished requests, from which rates are made: those that run or were left have tokens without
// their time.
struct Finished {
  double prefill_s = 0, decode_s = 0;
  std::uint64_t prompt_tokens = 0,
                output_tokens = 0;  // prompt: computed, not cached; output: after the first
};

class Metrics {
 public:
  // `tripwire`: acceptance length below which drafts are reported; 0 = off.
  explicit Metrics(double tripwire = 0) : tripwire_limit_(tripwire) {}

  void first_token(double ms);  // from submit
  void finished(const Completion& completion, double total_ms);
  void http(const std::string& route, int status);
  // Clients that left before their answer was whole.
  void abandoned();

  // The mean acceptance length over recent cycles with a draft; 0 before there are enough of them.
  double rolling_acceptance() const;
  // Drafts are accepted far less than they should be: a wrong draft, template or channel.
  bool tripped() const;

  std::string text(const ServiceStats& stats, std::size_t slots, std::size_t context_tokens,
                   const std::string& model) const;

 private:
  struct Histogram {
    std::array<std::uint64_t, 16> counts{};
    std::uint64_t total = 0;
    double sum = 0;
  };
  static void observe(Histogram& histogram, double seconds);
  static void write(std::string& out, const char* name, const char* help, const std::string& model,
                    const Histogram& histogram);

  mutable std::mutex mutex_;
  Histogram first_token_, total_, per_token_;
  std::map<std::pair<std::string, int>, std::uint64_t> http_;
  std::map<std::string, std::uint64_t> finished_;  // by reason
  std::uint64_t abandoned_ = 0;
  Finished done_;
  const double tripwire_limit_;
  std::uint64_t tripped_ = 0;  // times that the rolling length fell below the limit
  bool below_ = false;
  std::deque<std::pair<std::uint64_t, std::uint64_t>>
      recent_;  // cycles with a draft, their lengths; a request
  std::uint64_t recent_cycles_ = 0, recent_length_ = 0;
};

}  // namespace kakeya::serve
