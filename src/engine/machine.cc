// Memory, cache sizes and the processor's name, from Linux and macOS.
#include "engine/machine.h"

#include <fmt/format.h>
#include <kakeya/speed.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __APPLE__
#include <mach/mach.h>
#include <sys/sysctl.h>
#endif

namespace kakeya {
namespace {

#ifdef __linux__
// The line "KEY:   123 kB" of a file below /proc, in bytes; 0 when it is not there.
std::uint64_t proc_bytes(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
      return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}
#endif

}  // namespace

ProcessMemory process_memory() {
  ProcessMemory out;
#ifdef __linux__
  out.rss_bytes = proc_bytes("/proc/self/status", "VmRSS");
  out.peak_rss_bytes = proc_bytes("/proc/self/status", "VmHWM");
  out.available_bytes = proc_bytes("/proc/meminfo", "MemAvailable");
#elif defined(__APPLE__)
  mach_task_basic_info info{};
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, reinterpret_cast<task_info_t>(&info), &count) ==
      KERN_SUCCESS) {
    out.rss_bytes = info.resident_size;
    out.peak_rss_bytes = info.resident_size_max;
  }
#endif
  return out;
}

bool reset_peak_memory() {
#ifdef __linux__
  std::ofstream file("/proc/self/clear_refs");
  file << "5";
  file.flush();
  return file.good();
#else
  return false;
#endif
}

std::string cpu_name() {
#ifdef __APPLE__
  char name[256] = {};
  std::size_t size = sizeof(name);
  if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#else
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos && (line.starts_with("model name") || line.starts_with("Model"))) {
      return line.substr(colon + 2);
    }
  }
#endif
  return "unknown";
}

namespace engine {

void release_freed_memory() {
#ifdef __GLIBC__
  (void)::malloc_trim(0);
#endif
}

Status check_free_memory(const std::string& what, std::uint64_t needed, std::uint64_t available) {
  if (available == 0 || needed <= available) return {};
  return Error{ErrorCode::kOutOfMemory, fmt::format("{}: it needs {} MiB more, found {} MiB of free memory",
                                                    what, needed >> 20, available >> 20)};
}

std::uint64_t last_level_cache_bytes() {
#if defined(__linux__) && defined(_SC_LEVEL3_CACHE_SIZE)
  for (const int level : {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE}) {
    if (const long bytes = ::sysconf(level); bytes > 0) return static_cast<std::uint64_t>(bytes);
  }
#endif
  return 0;
}

}  // namespace engine
}  // namespace kakeya
