#include "gate/step_counter.h"

#if defined(__linux__) && defined(__x86_64__)
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

// The linker's: where this program's own code begins and ends.
extern "C" const char __executable_start;
extern "C" const char etext;

// Where counting ends. The child is a fork, so the address is the same in both.
extern "C" [[gnu::noinline]] void kakeya_gate_end() { asm volatile("" ::: "memory"); }

namespace kakeya::gate {
namespace {

constexpr int kNotTraced = 77;  // the child's exit code when tracing is forbidden
constexpr std::uint64_t kMostSteps = 5'000'000;

std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

// 2 instructions a turn.
Job known_loop(std::uint64_t turns) {
  return {"the counter's own check", [turns]() -> Call {
            return [turns] {
              std::uint64_t left = turns;
              asm volatile("1: decq %0\n\tjnz 1b" : "+r"(left)::"cc");
            };
          }};
}

// This process and its children on one CPU. They take turns, and on a busy machine waking one up elsewhere
// can take milliseconds a step.
void stay_on_one_cpu() {
  const int cpu = sched_getcpu();
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);  // a refusal costs time only
}

[[noreturn]] void run_jobs(std::span<const Job> jobs) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNotTraced);
  for (const Job& job : jobs) {
    const Call call = job.prepare();
    call();
    asm volatile("int3" ::: "memory");
    call();
    kakeya_gate_end();
  }
  _exit(0);
}

class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ <= 0 || ended_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Until the next trap.
  Status wait_for_trap(const std::string& job) {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR)
        return io_error(std::string("count instructions: waitpid: ") + std::strerror(errno));
    }
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) return {};
    ended_ = WIFEXITED(status) || WIFSIGNALED(status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNotTraced) {
      return unsupported("count instructions: PTRACE_TRACEME is refused here, as some containers do");
    }
    const int signal = WIFSTOPPED(status) ? WSTOPSIG(status) : WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return failed(job, signal != 0 ? std::string("signal ") + strsignal(signal) : "the process ended");
  }

  Status ask(__ptrace_request request, const char* name, void* data = nullptr) {
    if (ptrace(request, pid_, nullptr, data) != 0) return forbidden(name);
    return {};
  }

  Result<std::uintptr_t> instruction_pointer() {
    errno = 0;
    const long value = ptrace(PTRACE_PEEKUSER, pid_, offsetof(user_regs_struct, rip), nullptr);
    if (value == -1 && errno != 0) return forbidden("PTRACE_PEEKUSER");
    return static_cast<std::uintptr_t>(value);
  }

  static Error failed(const std::string& job, const std::string& found) {
    return {ErrorCode::kNumeric, "count instructions: " + job + ": found " + found};
  }

 private:
  static Error forbidden(const char* request) {
    return unsupported(std::string("count instructions: ") + request +
                       " is refused here: " + std::strerror(errno));
  }

  pid_t pid_;
  bool ended_ = false;
};

// From the trap before the counted call to kakeya_gate_end.
Result<std::uint64_t> count_call(Child& child, const std::string& job) {
  const std::uintptr_t first = address(&__executable_start), last = address(&etext);
  const std::uintptr_t end = address(reinterpret_cast<const void*>(&kakeya_gate_end));
  std::uint64_t count = 0;
  for (std::uint64_t steps = 0; steps < kMostSteps; ++steps) {
    const auto at = child.instruction_pointer();
    if (!at.ok()) return at.error();
    if (*at == end) return count;
    if (*at >= first && *at < last) ++count;
    KAKEYA_TRY(child.ask(PTRACE_SINGLESTEP, "PTRACE_SINGLESTEP"));
    KAKEYA_TRY(child.wait_for_trap(job));
  }
  return Child::failed(job, "no end within " + std::to_string(kMostSteps) + " steps");
}

}  // namespace

Result<std::vector<std::uint64_t>> count_instructions(std::span<const Job> jobs) {
  constexpr std::uint64_t kTurns = 100;
  std::vector<Job> all = {known_loop(kTurns), known_loop(2 * kTurns)};
  const std::size_t checks = all.size();
  all.insert(all.end(), jobs.begin(), jobs.end());
  stay_on_one_cpu();
  const pid_t pid = fork();
  if (pid < 0) return unsupported(std::string("count instructions: fork: ") + std::strerror(errno));
  if (pid == 0) run_jobs(all);
  Child child(pid);
  std::vector<std::uint64_t> counts;
  for (const Job& job : all) {
    KAKEYA_TRY(child.wait_for_trap(job.name));
    if (counts.empty()) {
      KAKEYA_TRY(child.ask(PTRACE_SETOPTIONS, "PTRACE_SETOPTIONS",
                           reinterpret_cast<void*>(static_cast<std::uintptr_t>(PTRACE_O_EXITKILL))));
    }
    const auto count = count_call(child, job.name);
    if (!count.ok()) return count.error();
    counts.push_back(*count);
    KAKEYA_TRY(child.ask(PTRACE_CONT, "PTRACE_CONT"));
  }
  if (counts[1] - counts[0] != 2 * kTurns) {
    return Child::failed(all[0].name, std::to_string(counts[0]) + " and " + std::to_string(counts[1]) +
                                          " instructions, expected a difference of " +
                                          std::to_string(2 * kTurns));
  }
  counts.erase(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(checks));
  return counts;
}

}  // namespace kakeya::gate

#else

namespace kakeya::gate {

Result<std::vector<std::uint64_t>> count_instructions(std::span<const Job>) {
  return unsupported("count instructions: found another system, expected Linux on x86-64");
}

}  // namespace kakeya::gate
#endif
