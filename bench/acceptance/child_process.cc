#include "acceptance/child_process.h"

#ifdef __linux__
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace kakeya::acceptance {
namespace {

constexpr int kNobody = 65534;
constexpr int kFirstSafeFd = 64;       // above every descriptor number that a plan uses
constexpr unsigned kCloseRange = 436;  // SYS_close_range, younger than some headers

Error system_error(const char* operation) {
  return io_error(fmt::format("{}: {}", operation, std::strerror(errno)));
}

// Between fork and exec only async-signal-safe calls are allowed: everything that allocates is prepared
// before.
struct ChildSetup {
  const ChildPlan& plan;
  std::vector<char*> argv;
  std::vector<int> moved;
  pid_t parent;
};

void limit(int what, rlim_t value) {
  const rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(what), &both);
}

[[noreturn]] void fail(const char* message) {
  [[maybe_unused]] const ssize_t ignored = ::write(2, message, std::strlen(message));
  ::_exit(127);
}

void place_descriptors(ChildSetup& setup) {
  const int count = static_cast<int>(setup.plan.fds.size());
  for (int i = 0; i < count; ++i) setup.moved[i] = ::fcntl(setup.plan.fds[i], F_DUPFD, kFirstSafeFd);
  for (int i = 0; i < count; ++i) {
    if (setup.moved[i] < 0 || ::dup2(setup.moved[i], i) != i) ::_exit(126);
  }
  if (::syscall(kCloseRange, static_cast<unsigned>(count), ~0u, 0u) != 0) {
    const long most = ::sysconf(_SC_OPEN_MAX);
    for (int fd = count; fd < (most > 0 && most < 65536 ? most : 65536); ++fd) ::close(fd);
  }
}

void drop_root() {
  // The raw calls: the C library's versions signal threads that do not exist after fork.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0 ||
      ::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0) {
    fail("cannot give up root\n");
  }
}

[[noreturn]] void run_child(ChildSetup& setup) {
  ::setsid();  // a Ctrl-C of the terminal reaches us, and we stop the child
  place_descriptors(setup);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (setup.plan.become_nobody) drop_root();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != setup.parent) ::_exit(125);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 64);
  limit(RLIMIT_FSIZE, setup.plan.file_bytes);
  if (setup.plan.cpu_seconds > 0) limit(RLIMIT_CPU, static_cast<rlim_t>(setup.plan.cpu_seconds));
  if (setup.plan.memory_bytes > 0) limit(RLIMIT_AS, setup.plan.memory_bytes);
  static char path[] = "PATH=/usr/bin:/bin", language[] = "LANG=C";
  char* environment[] = {path, language, nullptr};
  ::execve(setup.argv[0], setup.argv.data(), environment);
  fail("cannot execute the program\n");
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("create a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<Fd> memory_file(const std::string& content) {
  Fd file(::memfd_create("kakeya", MFD_CLOEXEC));
  if (file.get() < 0) return system_error("create a memory file");
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno != EINTR) return system_error("write a memory file");
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return system_error("rewind a memory file");
  return file;
}

Result<Child> Child::start(const ChildPlan& plan) {
  ChildSetup setup{plan, {}, std::vector<int>(plan.fds.size(), -1), ::getpid()};
  for (const std::string& word : plan.argv) setup.argv.push_back(const_cast<char*>(word.c_str()));
  setup.argv.push_back(nullptr);
  Child child;
  child.pid_ = ::fork();
  if (child.pid_ < 0) return system_error("start a process");
  if (child.pid_ == 0) run_child(setup);
  return child;
}

void Child::stop() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);  // its whole group; what has left the group dies with its parent
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace kakeya::acceptance

#else  // !__linux__
#include <unistd.h>

namespace kakeya::acceptance {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}
Result<Pipe> make_pipe() { return unsupported("create a pipe: Linux only"); }
Result<Fd> memory_file(const std::string&) { return unsupported("create a memory file: Linux only"); }
Result<Child> Child::start(const ChildPlan&) { return unsupported("start a process: Linux only"); }
void Child::stop() {}

}  // namespace kakeya::acceptance
#endif
