// The regression gate: instructions of the main kernels against the committed table. How to read a failure
// and how to update the table: CONTRIBUTING.md, "Instruction gate".
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gate/cases.h"
#include "gate/table.h"

namespace kakeya::gate {
namespace {

constexpr double kLimit = 0.03;  // of the table's entry
constexpr int kFailed = 1, kUsage = 2, kSkipped = 77;

struct Options {
  std::string table = KAKEYA_GATE_TABLE;
  std::string filter;  // part of a case's name
  bool force = false;
  bool update = false;
};

struct Tally {
  std::size_t checked = 0, failed = 0, fell = 0;
  std::map<std::string, std::size_t> not_checked;  // per variant that this CPU lacks
};

bool wanted(const Options& options, const std::string& name) {
  return name.find(options.filter) != std::string::npos;
}

void compare(const Case& c, double found, const Table& table, Tally& tally) {
  ++tally.checked;
  const auto entry = table.entries.find({c.name, c.variant});
  if (entry == table.entries.end()) {
    ++tally.failed;
    std::printf("FAIL %s: %.4g instructions per %s, no entry in the table: new case, --update adds it\n",
                c.key().c_str(), found, c.unit.c_str());
    return;
  }
  const double change = found / entry->second.per_unit - 1;
  const bool more = change > kLimit, fewer = change < -kLimit;
  if (!more && !fewer) return;
  ++(more ? tally.failed : tally.fell);
  std::printf("%s %s: %.4g instructions per %s, table %.4g: %+.1f %%%s\n", more ? "FAIL" : "fell",
              c.key().c_str(), found, c.unit.c_str(), entry->second.per_unit, 100 * change,
              more ? ", limit 3 %" : ": update the table");
}

// Entries that no case answered.
void find_missing(const Options& options, const Table& found, const Table& table, Tally& tally) {
  for (const auto& [key, entry] : table.entries) {
    if (!wanted(options, key.first) || found.entries.contains(key)) continue;
    if (!can_run(key.second)) {
      ++tally.not_checked[key.second];
      continue;
    }
    ++tally.failed;
    std::printf("FAIL %s [%s]: in the table, but no such case was run: --update removes it\n",
                key.first.c_str(), key.second.c_str());
  }
}

int report(const Tally& tally) {
  std::string lacking;
  std::size_t not_checked = 0;
  for (const auto& [variant, n] : tally.not_checked) {
    lacking += (lacking.empty() ? ": no " : ", ") + variant + " (" + std::to_string(n) + ")";
    not_checked += n;
  }
  std::printf("instruction gate: %zu checked, %zu failed, %zu fell; %zu not checked on this CPU%s\n",
              tally.checked, tally.failed, tally.fell, not_checked, lacking.c_str());
  return tally.failed == 0 ? 0 : kFailed;
}

// The table with what was found, entries of variants that this CPU lacks kept.
int update(const Options& options, Table table, const Table& found) {
  std::erase_if(table.entries, [&](const auto& item) {
    return wanted(options, item.first.first) && can_run(item.first.second);
  });
  for (const auto& [key, entry] : found.entries) table.entries[key] = entry;
  table.toolchain = found.toolchain;
  const Status written = write_table(options.table, table);
  if (!written.ok()) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return kFailed;
  }
  std::printf("%s: %zu entries written, %zu kept\n", options.table.c_str(), found.entries.size(),
              table.entries.size() - found.entries.size());
  return 0;
}

int skip(const std::string& why) {
  std::printf("instruction gate: skipped: %s\n", why.c_str());
  return kSkipped;
}

int run(const Options& options) {
  Table table, found;
  found.toolchain = this_toolchain();
  const auto read = read_table(options.table);
  if (read.ok()) table = *read;
  if (!read.ok() && !(options.update && read.error().code == ErrorCode::kNotFound)) {
    std::fprintf(stderr, "%s\n", read.error().message.c_str());
    return kFailed;
  }
  const std::string other = difference(table.toolchain, found.toolchain);
  if (!other.empty() && !options.update) {
    const std::string why = "the table is of " + other + ", this program of " + found.toolchain.compiler +
                            ", highway " + found.toolchain.highway + ", flags '" + found.toolchain.flags +
                            "'";
    if (!options.force) return skip(why + " (--force compares them)");
    std::printf("instruction gate: %s\n", why.c_str());
  }
  std::vector<Case> cases;
  std::vector<Job> jobs;
  for (Case& c : all_cases()) {
    if (!wanted(options, c.name)) continue;
    jobs.push_back({c.key(), c.prepare});
    cases.push_back(std::move(c));
  }
  const auto counts = count_instructions(jobs);
  if (!counts.ok()) {
    if (counts.error().code == ErrorCode::kUnsupported) return skip(counts.error().message);
    std::fprintf(stderr, "%s\n", counts.error().message.c_str());
    return kFailed;
  }
  Tally tally;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    const double per_unit = rounded(static_cast<double>((*counts)[i]) / c.units);
    found.entries[{c.name, c.variant}] = {per_unit, c.unit};
    if (!options.update) compare(c, per_unit, table, tally);
  }
  if (options.update) return update(options, table, found);
  find_missing(options, found, table, tally);
  return report(tally);
}

}  // namespace
}  // namespace kakeya::gate

int main(int argc, char** argv) {
  using namespace kakeya::gate;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // the child must find nothing to write a second time
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool has_value = i + 1 < argc;
    if (flag == "--force") {
      options.force = true;
    } else if (flag == "--update") {
      options.update = true;
    } else if (flag == "--table" && has_value) {
      options.table = argv[++i];
    } else if (flag == "--filter" && has_value) {
      options.filter = argv[++i];
    } else {
      std::fprintf(stderr,
                   "%s: unknown or without a value\nusage: kakeya-instruction-gate [--table FILE] [--filter "
                   "PART-OF-A-NAME] [--force] [--update]\n",
                   argv[i]);
      return kUsage;
    }
  }
  return run(options);
}
