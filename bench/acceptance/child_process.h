// One child process with exactly the descriptors and limits it is given; no shell. Linux only.
#pragma once
#include <kakeya/result.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace kakeya::acceptance {

// Owns a descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  void reset();

 private:
  int fd_;
};

struct Pipe {
  Fd read_end, write_end;
};
Result<Pipe> make_pipe();
// An anonymous file that holds `content`, read from its start.
Result<Fd> memory_file(const std::string& content);

struct ChildPlan {
  std::vector<std::string> argv;  // argv[0] is the path
  std::vector<int> fds;           // fds[i] becomes descriptor i; every other one is closed
  std::size_t memory_bytes = 0;   // address space; 0 = no limit
  long cpu_seconds = 0;           // 0 = no limit
  std::size_t file_bytes = std::size_t{16} << 20;
  bool become_nobody = false;  // give up root first
};

// A running child; the destructor kills it and waits.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child() { stop(); }
  static Result<Child> start(const ChildPlan& plan);
  void stop();

 private:
  pid_t pid_ = -1;
};

}  // namespace kakeya::acceptance
