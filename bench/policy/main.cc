// What Speculation::kAuto costs or gains over whole requests: the same prompts with drafts off, chosen by the
// policy, and in every cycle, in turns within one process. Prints a table; --json writes every sample.
//   kakeya-bench-policy --prompts data/gsm-mini.jsonl
//   kakeya-bench-policy --prompts data/gsm-mini.jsonl --parallel 4       several requests at a time, in
//   shared passes kakeya-bench-policy --model random:qwen3-0.6b:q4_0 --draft random:qwen3-0.6b-dflash:q4_0
//   --random 12
// Ratios of time over the request (prompt and output) to the same request without drafts, median over prompts
// with a bootstrap 95 % interval: below 1 the mode is faster.
#include <fmt/format.h>
#include <kakeya/engine.h>
#include <kakeya/session.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "acceptance/jsonl.h"
#include "acceptance/stats.h"
#include "policy/together.h"

namespace {

namespace acceptance = kakeya::acceptance;
using kakeya::Speculation;
using kakeya::Token;

struct Arguments {
  std::string model = "tiny", draft = "tiny", prompts, json, kv = "bf16";
  int threads = 0, random = 0, prompt_tokens = 40, tokens = 128, rounds = 5, limit = 0, parallel = 1;
  bool ignore_stop = false;
};

struct Sample {
  double wall_ms = 0, cpu_ms = 0, gained_ms = 0;
  std::size_t tokens = 0, plain = 0, drafted = 0;
};

constexpr Speculation kModes[] = {Speculation::kOff, Speculation::kAuto, Speculation::kFixed};
constexpr std::size_t kModeCount = std::size(kModes);

[[noreturn]] void die(const std::string& what) {
  std::cerr << "kakeya-bench-policy: " << what << "\n";
  std::exit(1);
}

template <class T>
T take(kakeya::Result<T> result) {
  if (!result.ok()) die(result.error().message);
  return std::move(result).value();
}

double cpu_ms() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_usec);
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// A line each: JSON with "question" or "prompt", else text.
std::vector<std::vector<Token>> read_prompts(const kakeya::Engine& engine, const std::string& path) {
  std::ifstream file(path);
  if (!file) die(path + ": cannot be read");
  std::vector<std::vector<Token>> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    const auto json = kakeya::acceptance::parse_json(line, path);
    std::string text = line;
    if (json.ok() && json->is_object()) text = json->value("question", json->value("prompt", std::string()));
    if (text.empty()) die(path + ": a line without \"question\" and \"prompt\"");
    kakeya::ChatRequest chat;
    chat.messages.push_back({"user", text, {}, {}});
    chat.enable_thinking = false;
    out.push_back(take(engine.encode_chat(chat)));
  }
  return out;
}

std::vector<std::vector<Token>> random_prompts(const kakeya::Engine& engine, const Arguments& arguments) {
  std::mt19937 random(1);
  std::uniform_int_distribution<Token> id(0, static_cast<Token>(engine.target().vocab_size - 1));
  std::vector<std::vector<Token>> out(static_cast<std::size_t>(arguments.random));
  for (auto& prompt : out) {
    for (int i = 0; i < arguments.prompt_tokens; ++i) prompt.push_back(id(random));
  }
  return out;
}

Sample run(kakeya::Session& session, std::span<const Token> prompt, Speculation mode,
           const Arguments& arguments) {
  kakeya::GenerateOptions options;
  options.max_tokens = arguments.tokens;
  options.speculation = mode;
  options.ignore_stop = arguments.ignore_stop;
  const double cpu = cpu_ms();
  const auto start = std::chrono::steady_clock::now();
  const kakeya::Generation out = take(session.generate(prompt, options));
  Sample sample;
  sample.wall_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  sample.cpu_ms = cpu_ms() - cpu;
  sample.tokens = out.ids.size();
  sample.plain = out.policy.plain_cycles;
  sample.drafted = out.policy.speculative_cycles;
  sample.gained_ms = out.policy.gained_ms;
  return sample;
}

double median(const std::vector<double>& values) { return acceptance::quantile(values, 0.5); }

// samples[mode][prompt][round]
using Samples = std::vector<std::vector<std::vector<Sample>>>;

Samples measure(const kakeya::Engine& engine, const Arguments& arguments,
                const std::vector<std::vector<Token>>& prompts) {
  std::vector<std::unique_ptr<kakeya::Session>> sessions;
  kakeya::SessionOptions options;
  options.kv = arguments.kv;
  std::size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  options.max_tokens = longest + static_cast<std::size_t>(arguments.tokens) + engine.draft()->block_size;
  for (std::size_t m = 0; m < kModeCount; ++m) sessions.push_back(take(engine.new_session(options)));
  run(*sessions[0], prompts[0], Speculation::kOff, arguments);  // warm-up
  Samples samples(kModeCount, std::vector<std::vector<Sample>>(prompts.size()));
  std::mt19937 random(3);
  for (int round = 0; round < arguments.rounds; ++round) {
    for (std::size_t p = 0; p < prompts.size(); ++p) {
      std::size_t order[kModeCount] = {0, 1, 2};
      std::ranges::shuffle(order, random);
      for (const std::size_t m : order) {
        samples[m][p].push_back(run(*sessions[m], prompts[p], kModes[m], arguments));
      }
    }
    std::cerr << fmt::format("round {} of {}\n", round + 1, arguments.rounds);
  }
  return samples;
}

// The fastest of a prompt's rounds: what others on the machine took from it only adds.
double fastest(const std::vector<Sample>& rounds, double Sample::*field) {
  return std::ranges::min(rounds, {}, field).*field;
}

void print_mode(const Samples& samples, std::size_t mode) {
  std::vector<double> wall, cpu;
  double sum = 0, plain_sum = 0, gained = 0;
  std::size_t plain = 0, drafted = 0;
  for (std::size_t p = 0; p < samples[0].size(); ++p) {
    const double ms = fastest(samples[mode][p], &Sample::wall_ms),
                 off = fastest(samples[0][p], &Sample::wall_ms);
    wall.push_back(ms / off);
    cpu.push_back(fastest(samples[mode][p], &Sample::cpu_ms) / fastest(samples[0][p], &Sample::cpu_ms));
    sum += ms;
    plain_sum += off;
    for (const Sample& sample : samples[mode][p]) {
      plain += sample.plain;
      drafted += sample.drafted;
      gained += sample.gained_ms;
    }
  }
  const acceptance::Interval ratio = kakeya::policy::median_interval(wall);
  const std::string ledger = mode == 1 ? fmt::format("{:.1f} ms", gained) : "";
  const std::string cycles = mode == 1 ? fmt::format("{}, {}", plain, drafted) : "";
  std::cout << fmt::format("| {} | {:.3f} [{:.3f}, {:.3f}] | {:.3f} | {:.3f} | {:.3f} | {} | {} |\n",
                           kakeya::to_string(kModes[mode]), ratio.estimate, ratio.low, ratio.high,
                           sum / plain_sum, median(cpu), std::ranges::max(wall), cycles, ledger);
}

void write_file(const std::string& path, const nlohmann::json& json) {
  std::ofstream file(path);
  file << json.dump(1) << "\n";
  if (!file.flush()) die(path + ": cannot be written");
}

nlohmann::json setting(const Arguments& arguments) {
  return {{"model", arguments.model},
          {"draft", arguments.draft},
          {"kv", arguments.kv},
          {"parallel", arguments.parallel}};
}

void write_json(const std::string& path, const Arguments& arguments, const Samples& samples) {
  nlohmann::json out = setting(arguments);
  for (std::size_t m = 0; m < kModeCount; ++m) {
    nlohmann::json prompts = nlohmann::json::array();
    for (const auto& rounds : samples[m]) {
      nlohmann::json list = nlohmann::json::array();
      for (const Sample& s : rounds) {
        list.push_back({{"wall_ms", s.wall_ms},
                        {"cpu_ms", s.cpu_ms},
                        {"tokens", s.tokens},
                        {"plain_cycles", s.plain},
                        {"speculative_cycles", s.drafted},
                        {"gained_ms", s.gained_ms}});
      }
      prompts.push_back(std::move(list));
    }
    out["samples"][kakeya::to_string(kModes[m])] = std::move(prompts);
  }
  write_file(path, out);
}

void run_together(const kakeya::Engine& engine, const Arguments& arguments,
                  const std::vector<std::vector<Token>>& prompts) {
  kakeya::policy::TogetherOptions options;
  options.kv = arguments.kv;
  options.slots = static_cast<std::size_t>(arguments.parallel);
  options.tokens = static_cast<std::size_t>(arguments.tokens);
  options.rounds = arguments.rounds;
  options.ignore_stop = arguments.ignore_stop;
  const auto batches = take(kakeya::policy::measure_together(engine, kModes, prompts, options));
  kakeya::policy::print_together(kModes, batches, options);
  if (arguments.json.empty()) return;
  nlohmann::json out = setting(arguments);
  for (std::size_t m = 0; m < kModeCount; ++m) {
    out["batches"][kakeya::to_string(kModes[m])] = kakeya::policy::to_json(batches[m]);
  }
  write_file(arguments.json, out);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Whole requests with drafts off, by the policy and always, in turns");
  app.add_option("--model", arguments.model);
  app.add_option("--draft", arguments.draft);
  app.add_option("--kv", arguments.kv);
  app.add_option("--threads", arguments.threads);
  auto* prompts_flag = app.add_option("--prompts", arguments.prompts, "a prompt a line, JSON or text");
  app.add_option("--random", arguments.random, "so many prompts of random ids: drafts fail")
      ->excludes(prompts_flag);
  app.add_option("--prompt-tokens", arguments.prompt_tokens, "of a random prompt")
      ->check(CLI::PositiveNumber);
  app.add_option("-n,--tokens", arguments.tokens)->check(CLI::PositiveNumber);
  app.add_option("-r,--rounds", arguments.rounds)->check(CLI::PositiveNumber);
  app.add_option("--limit", arguments.limit, "prompts at most");
  app.add_option("--parallel", arguments.parallel, "requests at a time: all prompts as one batch")
      ->check(CLI::PositiveNumber);
  app.add_flag("--ignore-stop", arguments.ignore_stop);
  app.add_option("--json", arguments.json);
  CLI11_PARSE(app, argc, argv);
  kakeya::EngineOptions options;
  options.target = arguments.model;
  options.draft = arguments.draft;
  options.threads = arguments.threads;
  const auto engine = take(kakeya::Engine::open(options));
  if (engine->draft() == nullptr) die("a draft is needed");
  auto prompts =
      arguments.random > 0 ? random_prompts(*engine, arguments) : read_prompts(*engine, arguments.prompts);
  if (arguments.limit > 0 && prompts.size() > static_cast<std::size_t>(arguments.limit)) {
    prompts.resize(static_cast<std::size_t>(arguments.limit));
  }
  if (prompts.empty()) die("no prompts");
  if (arguments.parallel > 1) {
    run_together(*engine, arguments, prompts);
    return 0;
  }
  const Samples samples = measure(*engine, arguments, prompts);
  std::cout << fmt::format("{} prompts, {} tokens at most, {} rounds (the fastest counts), {} threads\n\n",
                           prompts.size(), arguments.tokens, arguments.rounds, engine->threads())
            << "| drafts | time / off: median [95 %] | of sums | CPU time / off | worst prompt | cycles "
               "plain, with "
               "drafts | gained by the ledger |\n|---|---|--:|--:|--:|--:|--:|\n";
  for (std::size_t m = 1; m < kModeCount; ++m) print_mode(samples, m);
  if (!arguments.json.empty()) write_json(arguments.json, arguments, samples);
  return 0;
}
