#include "speed/runner.h"

#include <fmt/format.h>
#include <kakeya/codec.h>
#include <kakeya/engine.h>
#include <kakeya/speed.h>
#include <kakeya/version.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "speed/plan.h"
#include "speed/statistics.h"

namespace kakeya::speed {
namespace {

constexpr std::uint64_t kSimulationSeed = 1;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// "qwen3 8.19B q4_0"
std::string type_of(const ModelInfo& model) {
  const auto n = static_cast<double>(model.parameters);
  return fmt::format("{} {} {}", model.architecture,
                     n < 1e9 ? fmt::format("{:.2f}M", n / 1e6) : fmt::format("{:.2f}B", n / 1e9),
                     model.dtype);
}

PassCost operator+(const PassCost& a, const PassCost& b) {
  return {a.weight_bytes + b.weight_bytes, a.kv_bytes + b.kv_bytes, a.matrix_ops + b.matrix_ops};
}

// Of one sample of a test.
PassCost cost_of(const SpeedProbe& probe, const Test& test) {
  PassCost sum;
  std::size_t depth = test.depth;
  if (test.kind == TestKind::kRows) return probe.cost(depth, test.n_rows, PassLogits::kAll);
  for (std::size_t done = 0; done < test.n_prompt;) {
    const std::size_t rows = std::min(kPromptChunkRows, test.n_prompt - done);
    done += rows;
    sum = sum + probe.cost(depth, rows, done == test.n_prompt ? PassLogits::kLast : PassLogits::kNone);
    depth += rows;
  }
  for (std::size_t i = 0; i < test.n_gen; ++i) sum = sum + probe.cost(depth + i, 1, PassLogits::kLast);
  return sum;
}

// Samples of one channel of one opened model.
class ChannelRun {
 public:
  ChannelRun(const Options& options, SpeedProbe& probe, Setup setup, std::size_t block)
      : options_(options), probe_(probe), setup_(std::move(setup)), block_(block) {}

  Result<std::vector<TestResult>> measure(const Group& group, const std::function<bool()>& interrupted) {
    KAKEYA_TRY(probe_.set_depth(group.front().depth));
    if (options_.delay_s > 0) std::this_thread::sleep_for(std::chrono::seconds(options_.delay_s));
    // The probe after a group is the one before the next.
    if (!probed_ || options_.delay_s > 0) {
      KAKEYA_ASSIGN(probed_, probe_limits());
    }
    const bool own_peak = reset_peak_memory();
    std::vector<TestResult> results;
    for (const Test& test : group) results.push_back(prepared(test));
    for (TestResult& r : results) {
      if (options_.warmup) KAKEYA_TRY(warm_up(r));
    }
    for (std::size_t i = 0; i < options_.repetitions; ++i) {
      for (TestResult& r : results) {
        if (interrupted()) return Error{ErrorCode::kCancelled, "bench speed: interrupted"};
        KAKEYA_ASSIGN(const Elapsed elapsed, sample(r));
        r.samples_ns.push_back(elapsed.wall_ns);
        r.samples_cpu_ns.push_back(elapsed.cpu_ns);
      }
    }
    const std::uint64_t peak = process_memory().peak_rss_bytes;
    const Limits before = *probed_;
    KAKEYA_ASSIGN(probed_, probe_limits());
    for (TestResult& r : results) {
      r.limits = of_both(before, *probed_);
      r.peak_rss_bytes = peak;
      if (!own_peak)
        add_note(r, "the peak of memory is the process's, the buffer of the memory probe included");
    }
    compare(results);
    return results;
  }

 private:
  static void add_note(TestResult& r, const std::string& note) {
    r.note += (r.note.empty() ? "" : "; ") + note;
  }

  TestResult prepared(const Test& test) {
    TestResult r;
    r.test = test;
    r.setup = setup_;
    r.test_time = utc_now();
    if (test.kind == TestKind::kGenerate) r.passes = static_cast<double>(test.n_gen);
    if (test.kind == TestKind::kSimulated) {
      accepted_ = draw_accepted(test.simulated_tokens, test.n_rows, test.n_gen, kSimulationSeed);
      for (const std::uint32_t a : accepted_) r.emitted_tokens += a + 1;
      r.passes = static_cast<double>(accepted_.size());
      add_note(
          r, fmt::format("SIMULATED: chance decides which drafts stand, {} tokens a cycle on average; draft "
                         "and verify passes are real",
                         test.simulated_tokens));
    } else if (test.kind != TestKind::kPropose && test.kind != TestKind::kObserve) {
      const PassCost cost = cost_of(probe_, test);
      r.bytes_per_pass = static_cast<double>(cost.weight_bytes + cost.kv_bytes) / r.passes;
      if (probe_.int8_products()) r.ops_per_pass = static_cast<double>(cost.matrix_ops) / r.passes;
    }
    if (setup_.model.random_weights) add_note(r, "RANDOM weights: speed only, the model says nothing");
    return r;
  }

  Result<Limits> probe_limits() {
    KAKEYA_ASSIGN(const MemoryLimit memory, probe_.memory_limit(options_.probe_bytes));
    const Int8Limit int8 = probe_.int8_limit();
    return Limits{memory.gbs, memory.gbs,      memory.gbs, memory.buffer_bytes, memory.last_level_cache_bytes,
                  int8.gops,  int8.instruction};
  }
  static Limits of_both(const Limits& before, Limits after) {
    after.dram_gbs_min = std::min(before.dram_gbs, after.dram_gbs);
    after.dram_gbs = after.dram_gbs_max = std::max(before.dram_gbs, after.dram_gbs);
    after.int8_gops = std::max(before.int8_gops, after.int8_gops);
    return after;
  }

  Status warm_up(const TestResult& r) {
    if (r.test.kind == TestKind::kGenerate) {
      KAKEYA_TRY(probe_.decode(1));
      return {};
    }
    KAKEYA_TRY(sample(r));
    return {};
  }

  Result<Elapsed> sample(const TestResult& r) {
    const Test& test = r.test;
    switch (test.kind) {
      case TestKind::kPrompt:
      case TestKind::kPromptGen:
        return probe_.prompt(test.n_prompt, test.n_gen);
      case TestKind::kGenerate:
        return probe_.decode(test.n_gen);
      case TestKind::kRows:
        return probe_.pass(test.n_rows, PassLogits::kAll);
      case TestKind::kPropose:
        return probe_.propose(test.n_rows);
      case TestKind::kObserve:
        return probe_.observe(test.n_rows);
      case TestKind::kSimulated:
        return probe_.given_cycles(block_, test.n_rows, accepted_);
    }
    return invalid_argument("bench speed: unknown test");
  }

  // Ratios within a group, of medians.
  static void compare(std::vector<TestResult>& results) {
    const auto ms = [&](TestKind kind, std::size_t rows) -> std::optional<double> {
      for (const TestResult& r : results) {
        if (r.test.kind == kind && r.test.n_rows == rows) return r.pass_ms();
      }
      return {};
    };
    const std::optional<double> one_row = ms(TestKind::kRows, 1);
    std::size_t block = 0;
    for (const TestResult& r : results) {
      if (r.test.kind == TestKind::kPropose) block = r.test.n_rows;
    }
    const auto propose = ms(TestKind::kPropose, block), observe = ms(TestKind::kObserve, block);
    for (TestResult& r : results) {
      if (!one_row || r.test.kind != TestKind::kRows) continue;
      r.ratio_to_one_row = r.pass_ms() / *one_row;
      if (!propose || !observe || r.test.n_rows < 2 || r.test.n_rows > block) continue;
      r.break_even_tokens = (r.pass_ms() + *propose + *observe) / *one_row;
    }
  }

  const Options& options_;
  SpeedProbe& probe_;
  Setup setup_;
  std::size_t block_;
  std::optional<Limits> probed_;         // the last time
  std::vector<std::uint32_t> accepted_;  // of the simulated test at hand; it is alone in its group
};

Setup setup_of(const Options& options, const Engine& engine, const std::string& kv) {
  const ModelInfo& target = engine.target();
  Setup setup;
  setup.build_commit = build_commit();
  setup.cpu = cpu_name();
  setup.isa = engine.isa();
  setup.model = {target.path, type_of(target), target.weight_bytes, target.parameters, target.random_weights};
  if (engine.draft() != nullptr) {
    setup.draft = engine.draft()->id;
    setup.draft_random_weights = engine.draft()->random_weights;
  }
  setup.kv = kv;
  setup.draft_kv = options.draft_kv;
  setup.threads = static_cast<std::size_t>(engine.threads());
  setup.batch = kPromptChunkRows;
  return setup;
}

Status run_engine(const Options& options, const Engine& engine, Writer& writer,
                  const std::function<bool()>& interrupted) {
  PlanFor target = {engine.target().max_position_embeddings, engine.target().id, 0};
  std::size_t block = 0;
  if (engine.draft() != nullptr) {
    target.draft_block = engine.draft()->block_size;
    block = options.block_size == 0 ? target.draft_block : options.block_size;
  }
  KAKEYA_ASSIGN(const std::vector<Group> plan, make_plan(options, target));
  for (const std::string& kv : options.kv) {
    SessionOptions session;
    session.kv = kv;
    session.draft_kv = options.draft_kv;
    KAKEYA_ASSIGN(const std::unique_ptr<SpeedProbe> probe, engine.new_speed_probe(session));
    ChannelRun run(options, *probe, setup_of(options, engine, kv), block);
    for (const Group& group : plan) {
      KAKEYA_ASSIGN(const std::vector<TestResult> results, run.measure(group, interrupted));
      writer.add(results);
    }
  }
  return {};
}

// What can be said before gigabytes are loaded.
Status check_names(const Options& options) {
  if (options.repetitions == 0) return invalid_argument("-r: found 0, expected at least 1");
  std::vector<std::string> channels = options.kv;
  channels.push_back(options.draft_kv);
  for (const std::string& name : channels) {
    const auto info = channel_info(name, 128);
    if (!info.ok() && info.error().code == ErrorCode::kInvalidArgument) return info.error();
  }
  return {};
}

}  // namespace

Status run_speed(const Options& options, Writer& writer, const std::function<bool()>& interrupted) {
  KAKEYA_TRY(check_names(options));
  for (const std::string& model : options.models) {
    for (const std::size_t threads : options.threads) {
      EngineOptions engine_options;
      engine_options.target = model;
      engine_options.draft = options.draft;
      engine_options.threads = static_cast<int>(threads);
      engine_options.isa = options.isa;
      KAKEYA_ASSIGN(const std::unique_ptr<Engine> engine, Engine::open(engine_options));
      KAKEYA_TRY(run_engine(options, *engine, writer, interrupted));
    }
  }
  return {};
}

}  // namespace kakeya::speed
