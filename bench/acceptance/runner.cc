#include "acceptance/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "acceptance/cell.h"
#include "acceptance/identity.h"
#include "acceptance/result_file.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWarmUpTokens = 16;

bool wants_free(const RunOptions& options, const CellWork& cell) {
  return options.protocol != "forced" || cell.channel.name == "bf16";  // the reference text is always needed
}

std::size_t parts_per_record(const RunOptions& options, const CellWork& cell) {
  return (wants_free(options, cell) ? 1u : 0u) + (wants_forced(options) ? 1u : 0u);
}

std::size_t parts_of(const Record& record) { return (record.free ? 1u : 0u) + (record.forced ? 1u : 0u); }

// Channels take turns in an order that moves by one each prompt, so that none always runs first.
std::vector<std::size_t> rotated(std::size_t count, std::size_t by) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = (i + by) % count;
  return order;
}

// Anchors along the reference: where bf16 cycles began, or everywhere. The last token starts no cycle.
std::vector<std::size_t> anchor_positions(const RunOptions& options, const FreePart& reference) {
  std::vector<std::size_t> anchors;
  if (options.anchors == "all") {
    for (std::size_t i = 0; i + 1 < reference.output_ids.size(); ++i) anchors.push_back(i);
    return anchors;
  }
  std::size_t at = 0;
  for (const Cycle& cycle : reference.cycles) {
    anchors.push_back(at);
    at += cycle.emitted;
  }
  return anchors;
}

Error in_cell(const Error& error, const DatasetWork& work, const CellWork& cell, const Task& task) {
  if (error.code == ErrorCode::kCancelled) return error;
  return {error.code, fmt::format("{} under {}, {}: {}", work.dataset->name, cell.channel.name,
                                  task.problem->task_id, error.message)};
}

Status run_free(const RunContext& context, const DatasetWork& work, CellWork& cell, std::size_t i) {
  const Task& task = work.tasks[i];
  Result<FreePart> part =
      context.engine.free_run(cell.channel.name, task.prompt, task.max_tokens, work.settings, context.stop);
  if (!part.ok()) return in_cell(part.error(), work, cell, task);
  if (!context.engine.is_mock()) {
    Result<Grade> verdict = grade(context.grader, *task.problem, part->text);
    if (verdict.ok()) part->correct = verdict->correct;
    part->grade_detail = verdict.ok() ? verdict->detail : verdict.error().message;
  }
  cell.records[i].free = std::move(part).value();
  return cell.journal->append_free(cell.records[i]);
}

Status run_forced(const RunContext& context, const DatasetWork& work, CellWork& cell, std::size_t i) {
  const Task& task = work.tasks[i];
  const FreePart& reference = *work.cells[0].records[i].free;
  Result<ForcedPart> part =
      context.engine.forced_run(cell.channel.name, task.prompt, reference.output_ids,
                                anchor_positions(context.options, reference), work.settings);
  if (!part.ok()) return in_cell(part.error(), work, cell, task);
  cell.records[i].forced = std::move(part).value();
  return cell.journal->append_forced(cell.records[i]);
}

// Puts what was found into running order; what belongs to no task of this run is an error.
Status take_up(DatasetWork& work, CellWork& cell, std::vector<Record> found, const std::string& path) {
  for (Record& record : found) {
    bool known = false;
    for (std::size_t i = 0; i < work.tasks.size(); ++i) {
      if (work.tasks[i].problem->index != record.index) continue;
      cell.records[i].free = std::move(record.free);
      cell.records[i].forced = std::move(record.forced);
      known = true;
      break;
    }
    if (!known)
      return corrupt_data(fmt::format("read {}: record {} is not part of this run", path, record.index));
  }
  return {};
}

std::vector<Record> blank_records(const DatasetWork& work) {
  std::vector<Record> records;
  for (const Task& task : work.tasks) {
    Record record;
    record.index = task.problem->index;
    record.task_id = task.problem->task_id;
    record.prompt_tokens = task.prompt.ids.size();
    record.max_tokens = task.max_tokens;
    records.push_back(std::move(record));
  }
  return records;
}

Status open_cell(const RunContext& context, DatasetWork& work, CellWork& cell) {
  namespace fs = std::filesystem;
  const Json identity =
      cell_identity(context.options, context.engine, *work.dataset, cell.channel, work.settings);
  cell.identity = identity.dump();
  cell.records = blank_records(work);
  const fs::path dir = context.options.out_dir;
  const std::string journal_path = (dir / journal_file_name(work.dataset->name, cell.channel.name)).string();
  const std::string result_path = (dir / cell_file_name(work.dataset->name, cell.channel.name)).string();
  std::error_code ignored;
  if (fs::exists(result_path, ignored) && !fs::exists(journal_path, ignored)) {
    Json there;
    KAKEYA_ASSIGN(ResultFile file, read_result_file(result_path, there));
    const std::string difference = identity_difference(there, identity);
    if (!difference.empty()) {
      return invalid_argument(
          fmt::format("resume {}: it belongs to another run ({}); use another --out-dir, or --overwrite",
                      result_path, difference));
    }
    return take_up(work, cell, std::move(file.records), result_path);
  }
  std::vector<Record> found;
  KAKEYA_ASSIGN(cell.journal, Journal::open(journal_path, identity, found));
  return take_up(work, cell, std::move(found), journal_path);
}

}  // namespace

Result<std::vector<Task>> prepare_tasks(const RunContext& context, const Dataset& dataset,
                                        std::vector<std::string>& notes) {
  std::vector<Task> tasks;
  for (const Problem& problem : dataset.problems) {
    Task task{&problem, {}, context.options.max_tokens};
    KAKEYA_ASSIGN(task.prompt, context.engine.prompt(problem, prompt_style(context.options)));
    const std::size_t context_tokens = context.engine.target().context;
    const std::size_t used = task.prompt.ids.size();
    if (used + 2 > context_tokens) {
      notes.push_back(fmt::format("{} left out: its prompt has {} tokens and the context {}", problem.task_id,
                                  used, context_tokens));
      continue;
    }
    task.max_tokens = std::min(task.max_tokens, context_tokens - used);
    tasks.push_back(std::move(task));
  }
  if (tasks.empty()) return invalid_argument(fmt::format("{}: no prompt fits the context", dataset.name));
  return tasks;
}

Status prepare_cells(const RunContext& context, DatasetWork& work) {
  for (CellWork& cell : work.cells) KAKEYA_TRY(open_cell(context, work, cell));
  for (CellWork& cell : work.cells) {
    for (std::size_t i = 0; i < work.tasks.size(); ++i) {
      const bool complete = parts_of(cell.records[i]) == parts_per_record(context.options, cell);
      if (!complete && !cell.journal) {
        return corrupt_data(fmt::format("resume {} under {}: the result file lacks {}; use --overwrite",
                                        work.dataset->name, cell.channel.name, cell.records[i].task_id));
      }
    }
  }
  return {};
}

std::size_t parts_left(const RunOptions& options, const DatasetWork& work) {
  std::size_t left = 0;
  for (const CellWork& cell : work.cells) {
    for (const Record& record : cell.records) left += parts_per_record(options, cell) - parts_of(record);
  }
  return left;
}

Status warm_up(const RunContext& context, const DatasetWork& work) {
  const Task& task = work.tasks.front();
  for (const CellWork& cell : work.cells) {
    const Result<FreePart> part =
        context.engine.free_run(cell.channel.name, task.prompt, std::min(kWarmUpTokens, task.max_tokens),
                                work.settings, context.stop);
    if (!part.ok()) return in_cell(part.error(), work, cell, task);
  }
  return {};
}

Status run_dataset(const RunContext& context, DatasetWork& work, Progress& progress) {
  for (std::size_t i = 0; i < work.tasks.size(); ++i) {
    const std::vector<std::size_t> order = rotated(work.cells.size(), i);
    for (const std::size_t c : order) {
      CellWork& cell = work.cells[c];
      if (!wants_free(context.options, cell)) continue;
      const bool resumed = cell.records[i].free.has_value();
      if (!resumed) {
        if (context.stop()) return Error{ErrorCode::kCancelled, "stopped"};
        KAKEYA_TRY(run_free(context, work, cell, i));
      }
      progress.part_done(c, cell.records[i], !wants_forced(context.options), resumed);
    }
    for (const std::size_t c : order) {
      CellWork& cell = work.cells[c];
      if (!wants_forced(context.options)) continue;
      const bool resumed = cell.records[i].forced.has_value();
      if (!resumed) {
        if (context.stop()) return Error{ErrorCode::kCancelled, "stopped"};
        KAKEYA_TRY(run_forced(context, work, cell, i));
      }
      progress.part_done(c, cell.records[i], true, resumed);
    }
  }
  return {};
}

}  // namespace kakeya::acceptance
