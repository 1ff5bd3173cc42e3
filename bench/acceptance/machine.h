// The machine and the moment of a run, for the record.
#pragma once
#include <cstdint>
#include <string>

namespace kakeya::acceptance {

struct MachineFacts {
  std::string cpu, os;
  std::uint64_t memory_bytes = 0;
  int cores = 0;            // that this process may use
  double load_average = 0;  // one minute, when asked; -1 = unknown
};
MachineFacts machine_facts();

std::string utc_now();  // "2026-01-31T12:34:56Z"

}  // namespace kakeya::acceptance
