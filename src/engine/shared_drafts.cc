// Groups of rows that fit in a pass.
#include "engine/shared_drafts.h"

#include <vector>

namespace kakeya::engine {
namespace {

struct Entry {
  Slot* slot = nullptr;
  decode::DraftJob job;
};

// Calls run(jobs, rows) -> Status for groups of two and more entries that have rows, and done(entry, ms,
// rows) for each of a group that went well.
template <class RowsOf, class Run, class Done>
std::uint64_t in_groups(std::span<Entry> entries, RowsOf rows_of, Run run, Done done) {
  std::uint64_t passes = 0;
  std::size_t at = 0;
  while (at < entries.size()) {
    std::vector<Entry*> group;
    std::vector<decode::DraftJob> jobs;
    std::size_t rows = 0;
    for (; at < entries.size() && group.size() < model::kMaxSequences; ++at) {
      const std::size_t own = rows_of(entries[at]);
      if (own == 0) continue;
      if (rows + own > model::kMaxChunkRows) break;
      rows += own;
      group.push_back(&entries[at]);
      jobs.push_back(entries[at].job);
    }
    if (group.size() < 2) {
      if (group.empty() && at < entries.size()) ++at;  // too many rows for a shared pass
      continue;
    }
    const double start = decode::steady_clock_ms();
    if (!run(std::span<decode::DraftJob>(jobs)).ok()) continue;
    const double ms = decode::steady_clock_ms() - start;
    ++passes;
    for (std::size_t i = 0; i < group.size(); ++i) {
      group[i]->job = jobs[i];
      done(*group[i], ms, rows);
    }
  }
  return passes;
}

}  // namespace

std::uint64_t draft_together(std::span<Slot* const> slots) {
  std::vector<Entry> entries;
  for (Slot* slot : slots) {
    const decode::DraftPart& part = slot->decoder().part();
    if (part.tokens.empty() && part.request.block == 0) continue;
    entries.push_back({slot, {slot->drafter(), part.tokens, part.taps, part.request, {}}});
  }
  std::uint64_t passes = in_groups(
      entries, [](const Entry& entry) { return entry.job.tokens.size(); },
      decode::DFlashDrafter::observe_together,
      [](Entry& entry, double ms, std::size_t rows) {
        entry.slot->decoder().observed({ms, rows});
        entry.job.tokens = {};
      });
  // Who has something left to observe cannot propose yet.
  passes += in_groups(
      entries, [](const Entry& entry) { return entry.job.tokens.empty() ? entry.job.request.block : 0; },
      decode::DFlashDrafter::propose_together,
      [](Entry& entry, double ms, std::size_t rows) {
        entry.slot->decoder().drafted(entry.job.proposal, {ms, rows});
      });
  return passes;
}

}  // namespace kakeya::engine
