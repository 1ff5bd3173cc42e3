#include "acceptance/sandbox.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "acceptance/child_process.h"
#include "acceptance/jsonl.h"
#include "acceptance/sandbox_filter.h"
#include "acceptance/sandbox_harness.h"
#include "acceptance/sandbox_tools.h"

namespace kakeya::acceptance {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kBegun = "begun\n";
constexpr std::size_t kMostOutput = 64 << 10;

// Reads whatever comes, keeps the first kMostOutput bytes, never blocks its writer.
struct Stream {
  Fd fd;
  std::string text;
  bool open = true;

  void take() {
    std::array<char, 16384> buffer;
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
      open = false;
      return;
    }
    text.append(buffer.data(), std::min(static_cast<std::size_t>(n), kMostOutput - text.size()));
  }
};

// What both children write, and the children. Streams are declared first: they close after the children are
// gone.
struct Trial {
  Stream verdict, tests_said, program_said;
  Child tests, program;
};

Result<Trial> start(const Grader& grader, const SandboxTools& tools, const CodeJob& job, bool become_nobody) {
  const json tests_job = {{"setup", job.setup}, {"test", job.test}, {"entry_point", job.entry_point}};
  KAKEYA_ASSIGN(const Fd program_text, memory_file(job.program));
  KAKEYA_ASSIGN(const Fd tests_text,
                memory_file(tests_job.dump(-1, ' ', true, json::error_handler_t::replace)));
  const std::string filter = seccomp_filter();
  KAKEYA_ASSIGN(const Fd filter_a, memory_file(filter));
  KAKEYA_ASSIGN(const Fd filter_b, memory_file(filter));
  KAKEYA_ASSIGN(Pipe calls, make_pipe());
  KAKEYA_ASSIGN(Pipe answers, make_pipe());
  KAKEYA_ASSIGN(Pipe verdict, make_pipe());
  KAKEYA_ASSIGN(Pipe tests_said, make_pipe());
  KAKEYA_ASSIGN(Pipe program_said, make_pipe());
  ChildPlan plan;
  plan.memory_bytes = grader.memory_limit_bytes;
  plan.cpu_seconds = static_cast<long>(grader.time_limit_s) + 2;  // the wall clock comes first
  plan.become_nobody = become_nobody;
  Trial run;
  plan.argv = sandbox_command(tools, tests_harness(), job.label + " tests", filter.empty() ? -1 : 6);
  plan.fds = {tests_text.get(),       tests_said.write_end.get(), tests_said.write_end.get(),
              answers.read_end.get(), calls.write_end.get(),      verdict.write_end.get(),
              filter_a.get()};
  KAKEYA_ASSIGN(run.tests, Child::start(plan));
  plan.argv = sandbox_command(tools, program_harness(), job.label, filter.empty() ? -1 : 5);
  plan.fds = {program_text.get(),   program_said.write_end.get(), program_said.write_end.get(),
              calls.read_end.get(), answers.write_end.get(),      filter_b.get()};
  KAKEYA_ASSIGN(run.program, Child::start(plan));
  run.verdict.fd = std::move(verdict.read_end);
  run.tests_said.fd = std::move(tests_said.read_end);
  run.program_said.fd = std::move(program_said.read_end);
  return run;  // our copies of the children's ends close here: an end of file means that a child is gone
}

// True when the verdict is complete, false when the time was up first.
bool wait_for_verdict(Trial& run, double seconds) {
  const auto end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (run.verdict.open) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return false;
    std::array<pollfd, 3> waiting{};
    const std::array<Stream*, 3> streams = {&run.verdict, &run.tests_said, &run.program_said};
    for (std::size_t i = 0; i < streams.size(); ++i) {
      waiting[i] = {streams[i]->open ? streams[i]->fd.get() : -1, POLLIN, 0};
    }
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<long long>(left, 1000))) < 0)
      continue;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (waiting[i].revents != 0) streams[i]->take();
    }
  }
  return true;
}

Error did_not_start(const std::string& said) {
  std::string message = "run code in the sandbox: it did not start: " + quoted_excerpt(said, 300);
  for (const char* sign : {"namespace", "not permitted", "ermission denied"}) {
    if (said.find(sign) == std::string::npos) continue;
    message +=
        "; user namespaces seem to be forbidden here (a container without them, "
        "kernel.unprivileged_userns_clone = 0, or kernel.apparmor_restrict_unprivileged_userns = 1)";
    break;
  }
  return unsupported(std::move(message));
}

// started = false: the sandbox itself failed, which another way of starting it may cure.
struct Outcome {
  bool started = false;
  Result<Grade> grade;
};

Outcome run_once(const Grader& grader, const SandboxTools& tools, const CodeJob& job, bool become_nobody) {
  Result<Trial> started = start(grader, tools, job, become_nobody);
  if (!started.ok()) return {false, started.error()};
  Trial& run = *started;
  if (!wait_for_verdict(run, grader.time_limit_s)) {
    return {true, Grade{false, fmt::format("timed out after {:g} s", grader.time_limit_s)}};
  }
  std::string_view said = run.verdict.text;
  const bool begun = said.starts_with(kBegun);
  if (begun) said.remove_prefix(kBegun.size());
  if (said.empty() && begun)
    return {true, Grade{false, "the tests ended without a verdict, out of memory perhaps"}};
  if (said.empty()) return {false, did_not_start(run.tests_said.text + run.program_said.text)};
  const Result<json> verdict = parse_json(said, "the verdict");
  if (!verdict.ok()) return {true, verdict.error()};
  const std::string detail = verdict->value("detail", "");
  if (verdict->value("broken", true)) {
    return {true, corrupt_data(fmt::format("run the tests of {}: the published problem does not run: {}",
                                           job.label, detail))};
  }
  if (!verdict->value("started", false)) return {false, did_not_start(run.program_said.text)};
  return {true, Grade{verdict->value("passed", false), detail}};
}

}  // namespace

Result<Grade> run_in_sandbox(const Grader& grader, const CodeJob& job) {
  KAKEYA_ASSIGN(const SandboxTools tools, find_sandbox_tools(grader));
  // As root the sandbox runs as nobody, because some limits do not bind root; only where nobody may not, as
  // root.
  const bool root = ::geteuid() == 0;
  Outcome outcome = run_once(grader, tools, job, root);
  if (!outcome.started && root) outcome = run_once(grader, tools, job, false);
  return outcome.grade;
}

}  // namespace kakeya::acceptance
