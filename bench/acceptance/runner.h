// Runs the cells: which part of which prompt under which channel, in what order, and where it is kept.
// Knows nothing of statistics or reports.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "acceptance/bench_engine.h"
#include "acceptance/dataset.h"
#include "acceptance/grade.h"
#include "acceptance/journal.h"
#include "acceptance/options.h"
#include "acceptance/progress.h"

namespace kakeya::acceptance {

// A problem that fits the context, with its ids.
struct Task {
  const Problem* problem = nullptr;
  Prompt prompt;
  std::size_t max_tokens = 0;
};

// Work on one data set: its tasks and, per channel, what is known and where new parts go.
struct CellWork {
  ChannelFacts channel;
  std::string identity;              // JSON text
  std::vector<Record> records;       // per task, in running order
  std::unique_ptr<Journal> journal;  // null when the result file was complete already
};
struct DatasetWork {
  const Dataset* dataset = nullptr;
  std::vector<Task> tasks;
  GenerationSettings settings;
  std::vector<CellWork> cells;  // bf16 first
};

struct RunContext {
  const RunOptions& options;
  BenchEngine& engine;
  const Grader& grader;
  const StopSignal& stop;
};

// Tokenizes and drops problems that do not fit the context (told in notes). Errors: from the engine; nothing
// fits.
Result<std::vector<Task>> prepare_tasks(const RunContext& context, const Dataset& dataset,
                                        std::vector<std::string>& notes);

// Opens journals; with options.resume takes up what an earlier run left, result files included.
// Errors: another run's files (names the difference), corrupt files.
Status prepare_cells(const RunContext& context, DatasetWork& work);

// Parts that are still to be run.
std::size_t parts_left(const RunOptions& options, const DatasetWork& work);

// One short generation per channel, not recorded, so that the first prompt is not slower than the others.
Status warm_up(const RunContext& context, const DatasetWork& work);

// Errors: kCancelled when stopped; engine and journal errors with the prompt and channel named.
Status run_dataset(const RunContext& context, DatasetWork& work, Progress& progress);

}  // namespace kakeya::acceptance
