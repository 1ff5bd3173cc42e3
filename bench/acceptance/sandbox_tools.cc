#include "acceptance/sandbox_tools.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "acceptance/child_process.h"
#include "acceptance/jsonl.h"

namespace kakeya::acceptance {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTmpBytes = "16777216";
constexpr int kAskTimeoutMs = 10'000;

bool is_program(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::string in_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (folder.starts_with('/') && is_program(candidate)) return candidate;
  }
  return "";
}

// What `python` prints for `code`; empty when it cannot be run.
std::string ask_python(const std::string& python, const std::string& code) {
  Result<Pipe> pipe = make_pipe();
  Result<Fd> nothing = memory_file("");
  if (!pipe.ok() || !nothing.ok()) return "";
  ChildPlan plan;
  plan.argv = {python, "-I", "-S", "-B", "-c", code};
  plan.fds = {nothing->get(), pipe->write_end.get(), nothing->get()};
  Result<Child> child = Child::start(plan);
  if (!child.ok()) return "";
  pipe->write_end.reset();
  std::string text;
  std::array<char, 4096> buffer;
  pollfd waiting{pipe->read_end.get(), POLLIN, 0};
  while (text.size() < 65536 && ::poll(&waiting, 1, kAskTimeoutMs) > 0) {
    const ssize_t n = ::read(pipe->read_end.get(), buffer.data(), buffer.size());
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

bool is_system_python(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return !error && real.parent_path() == "/usr/bin" && real.filename().string().rfind("python3", 0) == 0;
}

Status find_python(const std::string& path, SandboxTools& tools) {
  std::error_code error;
  if (is_system_python(path)) {
    tools.python = fs::canonical(path, error).string();
    return {};
  }
  // A launcher script, a virtual environment or an own build: the interpreter itself knows where it is.
  std::istringstream said(
      ask_python(path, "import os, sys\nprint(os.path.realpath(sys.executable))\nprint(sys.base_prefix)"));
  std::string home;
  if (!std::getline(said, tools.python) || !std::getline(said, home) || !is_program(tools.python)) {
    return unsupported(fmt::format("find Python: {} does not run as Python 3", path));
  }
  if (home != "/usr" && home != "/") tools.python_homes.push_back(home);
  if (fs::is_directory("/nix/store", error)) tools.python_homes.push_back("/nix/store");
  return {};
}

// A folder as the system has it: a link stays a link.
void bind_system_folder(const std::string& path, std::vector<std::string>& command) {
  std::error_code error;
  if (fs::is_symlink(path, error)) {
    command.insert(command.end(), {"--symlink", fs::read_symlink(path, error).string(), path});
  } else if (fs::is_directory(path, error)) {
    command.insert(command.end(), {"--ro-bind", path, path});
  }
}

}  // namespace

Result<SandboxTools> find_sandbox_tools(const Grader& grader) {
#ifndef __linux__
  return unsupported("run code in the sandbox: it needs bubblewrap, which exists for Linux only");
#endif
  SandboxTools tools;
  tools.bwrap = grader.bwrap.empty() ? in_path("bwrap") : grader.bwrap;
  if (tools.bwrap.empty()) {
    return unsupported("run code in the sandbox: bubblewrap is not installed: apt install bubblewrap");
  }
  if (!is_program(tools.bwrap)) {
    return unsupported(fmt::format("run code in the sandbox: bubblewrap: found no program {}", tools.bwrap));
  }
  std::string python = grader.python;
  if (python.empty()) python = is_program("/usr/bin/python3") ? "/usr/bin/python3" : in_path("python3");
  if (python.empty())
    return unsupported("run code in the sandbox: Python is not installed: apt install python3");
  if (!is_program(python)) {
    return unsupported(fmt::format("run code in the sandbox: Python: found no program {}", python));
  }
  KAKEYA_TRY(find_python(python, tools));
  return tools;
}

std::vector<std::string> sandbox_command(const SandboxTools& tools, const std::string& source,
                                         const std::string& label, int filter_fd) {
  std::vector<std::string> command = {
      tools.bwrap,     "--unshare-all", "--unshare-user", "--uid",      "65534",
      "--gid",         "65534",         "--hostname",     "sandbox",    "--die-with-parent",
      "--new-session", "--clearenv",    "--setenv",       "LANG",       "C.UTF-8",
      "--setenv",      "HOME",          "/tmp",           "--cap-drop", "ALL"};
  for (const char* folder : {"/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64"}) {
    bind_system_folder(folder, command);
  }
  command.insert(command.end(), {"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"});
  for (const std::string& home : tools.python_homes) command.insert(command.end(), {"--ro-bind", home, home});
  command.insert(command.end(),
                 {"--ro-bind", tools.python, tools.python, "--dev-bind", "/dev/null", "/dev/null", "--size",
                  kTmpBytes, "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"});
  if (filter_fd >= 0) command.insert(command.end(), {"--seccomp", std::to_string(filter_fd)});
  command.insert(command.end(), {"--", tools.python, "-I", "-S", "-B", "-c", source, label});
  return command;
}

}  // namespace kakeya::acceptance
