#include "acceptance/machine.h"

#include <fmt/format.h>
#include <kakeya/speed.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace kakeya::acceptance {
namespace {

int usable_cores() {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

MachineFacts machine_facts() {
  MachineFacts facts;
  facts.cpu = cpu_name();
  facts.cores = usable_cores();
  utsname name{};
  if (uname(&name) == 0) facts.os = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  facts.memory_bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  double load[1] = {};
  facts.load_average = getloadavg(load, 1) == 1 ? load[0] : -1;
  return facts;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace kakeya::acceptance
