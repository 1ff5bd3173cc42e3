#include "acceptance/command.h"

#include <fmt/format.h>
#include <kakeya/engine.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "acceptance/cell.h"
#include "acceptance/files.h"
#include "acceptance/findings.h"
#include "acceptance/html_report.h"
#include "acceptance/mock_engine.h"
#include "acceptance/out_dir.h"
#include "acceptance/runner.h"
#include "acceptance/sdk_engine.h"
#include "acceptance/summary.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMockBlock = 16;

int fail(const CommandIo& io, const Error& error, int code) {
  fmt::print(io.err, "error: {}\n", error.message);
  return code;
}

// The embedded set of the same kind, for a machine that has neither data nor network.
std::string embedded_for(const std::string& name) {
  return name == "gsm8k" ? "gsm-mini" : name == "humaneval" ? "py-mini" : "";
}

Result<std::vector<Dataset>> load_datasets(const RunOptions& options, const StopSignal& stop,
                                           std::vector<std::string>& notes) {
  DatasetOptions from;
  from.data_dir = options.data_dir;
  if (const Result<std::string> share = find_share_dir(""); share.ok()) from.share_dir = *share;
  from.cache_dir = options.cache_dir;
  if (!options.hub_url.empty()) from.hub_url = options.hub_url;
  from.hub_token = options.hub_token;
  from.cancelled = stop;
  from.allow_network = !options.offline && !options.dry_run;
  from.allow_synthetic = options.allow_synthetic;
  from.n_samples = options.n_samples;
  from.seed = options.seed;

  std::vector<Dataset> sets;
  for (const std::string& name : options.datasets) {
    Result<Dataset> set = load_dataset(name, from);
    if (!set.ok() && set.error().code == ErrorCode::kCancelled) return set.error();
    const std::string embedded = embedded_for(name);
    if (!set.ok() && options.dry_run) {
      notes.push_back(
          fmt::format("{}: no local data, so the dry run made up problems (source \"synthetic\")", name));
      set = mock_dataset(name, options.n_samples, options.seed);
    } else if (!set.ok() && !options.datasets_named && !embedded.empty()) {
      notes.push_back(fmt::format("{} cannot be had here ({}); the embedded set {} takes its place", name,
                                  set.error().message, embedded));
      set = load_dataset(embedded, from);
    }
    if (!set.ok()) return set.error();
    sets.push_back(std::move(set).value());
  }
  return sets;
}

// Said before the hours of a run, not after.
void warn_ungraded(const std::vector<Dataset>& datasets, const Grader& grader,
                   std::vector<std::string>& notes) {
  for (const Dataset& dataset : datasets) {
    if (dataset.problems.empty() || dataset.problems[0].kind != TaskKind::kCode) continue;
    if (const auto problem = sandbox_problem(grader)) {
      notes.push_back(fmt::format("correctness of {} is not measured: {}", dataset.name, *problem));
    }
  }
}

Result<std::unique_ptr<BenchEngine>> open_engine(const RunOptions& options) {
  if (options.dry_run) return make_mock_engine(options.block_size != 0 ? options.block_size : kMockBlock);
  EngineOptions engine;
  engine.target = options.target;
  engine.draft = options.draft;
  engine.threads = options.threads;
  engine.isa = options.isa;
  return open_sdk_engine(engine);
}

GenerationSettings settings_of(const RunOptions& options, const BenchEngine& engine) {
  GenerationSettings settings;
  settings.draft_channel = options.draft_kv;
  settings.boundary = options.boundary;
  settings.block_size = options.block_size != 0 ? options.block_size : engine.draft().block_size;
  settings.verify_width = options.verify_width != 0 ? options.verify_width : settings.block_size;
  settings.temperature = options.temperature;
  settings.seed = options.seed;
  return settings;
}

// Everything of a run before its first token.
struct Plan {
  std::unique_ptr<BenchEngine> engine;
  std::vector<Dataset> datasets;
  std::vector<DatasetWork> work;
};

Status plan_dataset(const RunContext& context, const Dataset& dataset, std::vector<std::string>& notes,
                    DatasetWork& work) {
  work.dataset = &dataset;
  work.settings = settings_of(context.options, context.engine);
  KAKEYA_ASSIGN(work.tasks, prepare_tasks(context, dataset, notes));
  for (const Task& task : work.tasks) {
    work.settings.context_tokens =
        std::max(work.settings.context_tokens, task.prompt.ids.size() + task.max_tokens);
  }
  for (const std::string& name : context.options.channels) {
    CellWork cell;
    KAKEYA_ASSIGN(cell.channel, context.engine.channel(name, work.settings));
    work.cells.push_back(std::move(cell));
  }
  return {};
}

Run collect(const RunOptions& options, Plan& plan, const MachineFacts& machine, const std::string& created_at,
            std::vector<std::string> notes) {
  Run run;
  run.options = options;
  run.engine_kind = plan.engine->kind();
  run.target = plan.engine->target();
  run.draft = plan.engine->draft();
  run.isa = plan.engine->isa();
  run.threads = plan.engine->threads();
  run.machine = machine;
  run.created_at = created_at;
  run.notes = std::move(notes);
  const GenerationSettings settings = settings_of(options, *plan.engine);
  run.block_size = settings.block_size;
  run.verify_width = settings.verify_width;
  for (std::size_t d = 0; d < plan.work.size(); ++d) {
    for (CellWork& work : plan.work[d].cells) {
      Cell cell;
      cell.dataset = d;
      cell.channel = work.channel;
      cell.template_name = plan.work[d].tasks.front().prompt.template_name;
      cell.records = work.records;
      run.cells.push_back(std::move(cell));
    }
  }
  run.datasets = plan.datasets;
  evaluate(run);
  return run;
}

Status write_reports(const Run& run, const Plan& plan) {
  const std::filesystem::path dir = run.options.out_dir;
  std::vector<OutputFile> files;
  std::size_t next = 0;
  for (const DatasetWork& work : plan.work) {
    for (const CellWork& cell : work.cells) {
      const Json json = cell_json(run, run.cells[next++], Json::parse(cell.identity));
      files.push_back(
          {(dir / cell_file_name(work.dataset->name, cell.channel.name)).string(), json.dump(1) + "\n"});
    }
  }
  files.push_back({(dir / "FINDINGS.md").string(), findings_markdown(run)});
  files.push_back({(dir / "report.html").string(), html_report(run)});
  KAKEYA_TRY(write_files(files));
  for (const DatasetWork& work : plan.work) {
    for (const CellWork& cell : work.cells) {
      std::error_code ignored;  // a journal left behind is only read again by --resume
      std::filesystem::remove(dir / journal_file_name(work.dataset->name, cell.channel.name), ignored);
    }
  }
  return {};
}

Status measure(const RunContext& context, Plan& plan, const CommandIo& io) {
  std::size_t left = 0;
  for (const DatasetWork& work : plan.work) left += parts_left(context.options, work);
  Progress progress({io.err, io.terminal, context.engine.is_mock(), primary_protocol(context.options)}, left);
  for (DatasetWork& work : plan.work) {
    if (parts_left(context.options, work) > 0) KAKEYA_TRY(warm_up(context, work));
    std::vector<std::string> names;
    for (const CellWork& cell : work.cells) names.push_back(cell.channel.name);
    progress.start_dataset(work.dataset->name, names, work.tasks.size());
    KAKEYA_TRY(run_dataset(context, work, progress));
    progress.end_dataset();
  }
  return {};
}

int finish(const Run& run, const CommandIo& io) {
  std::vector<Verdict> verdicts;
  for (const Cell& cell : run.cells) verdicts.push_back(cell.comparison.verdict);
  // A dry run tests the pipeline; its verdicts are about theory and gate nothing.
  const bool sound = std::all_of(run.cells.begin(), run.cells.end(), [](const Cell& cell) {
    return std::all_of(cell.checks.begin(), cell.checks.end(), [](const Check& c) { return c.passed; });
  });
  const int code = !sound ? 1 : run.mock() ? 0 : exit_code(verdicts);
  if (io.json) {
    fmt::print(io.out, "{}\n", summary_json(run, run.options.out_dir, code).dump(1));
  } else {
    fmt::print(io.out, "\n{}\nWritten to {}: {} result files, FINDINGS.md, report.html\n", summary_table(run),
               run.options.out_dir, run.cells.size());
  }
  std::fflush(io.out);
  return code;
}

// What options alone cannot tell: it depends on the draft's block and the target's layers.
Status check_sizes(const RunOptions& options, const BenchEngine& engine) {
  const GenerationSettings settings = settings_of(options, engine);
  if (settings.block_size > kMaxBlockSize) {
    return invalid_argument(
        fmt::format("--block-size: found {}, expected at most {}", settings.block_size, kMaxBlockSize));
  }
  if (settings.verify_width > settings.block_size) {
    return invalid_argument(fmt::format("--verify-width: found {}, expected at most the draft's block of {}",
                                        settings.verify_width, settings.block_size));
  }
  const std::size_t layers = engine.target().layers;
  if (options.boundary > 0 && 2 * static_cast<std::size_t>(options.boundary) >= layers) {
    return invalid_argument(
        fmt::format("--boundary: found {}, expected less than half of the target's {} "
                    "layers: none would be left in the channel",
                    options.boundary, layers));
  }
  return {};
}

void warn_block(const RunOptions& options, const BenchEngine& engine, std::vector<std::string>& notes) {
  const std::size_t trained = engine.draft().block_size;
  if (options.block_size <= trained || engine.is_mock()) return;
  notes.push_back(fmt::format(
      "block {} is more than the {} that this draft was trained for: expect less than its own block gives",
      options.block_size, trained));
}

}  // namespace

int run_bench_acceptance(RunOptions options, const CommandIo& io, const StopSignal& stop) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit becomes an error of write(), as a full disk does
  std::vector<std::string> notes;
  if (const Status status = settle(options, notes); !status.ok()) return fail(io, status.error(), kExitUsage);

  const MachineFacts machine = machine_facts();
  const std::string created_at = utc_now();
  Plan plan;
  Result<std::unique_ptr<BenchEngine>> engine = open_engine(options);
  if (!engine.ok()) return fail(io, engine.error(), 1);
  plan.engine = std::move(engine).value();
  if (const Status status = check_sizes(options, *plan.engine); !status.ok()) {
    return fail(io, status.error(), kExitUsage);
  }
  warn_block(options, *plan.engine, notes);

  Result<std::vector<Dataset>> datasets = load_datasets(options, stop, notes);
  if (!datasets.ok()) {
    return fail(io, datasets.error(), datasets.error().code == ErrorCode::kCancelled ? kExitInterrupted : 1);
  }
  plan.datasets = std::move(datasets).value();

  const Grader grader;
  if (!plan.engine->is_mock()) warn_ungraded(plan.datasets, grader, notes);
  const RunContext context{options, *plan.engine, grader, stop};
  for (const Dataset& dataset : plan.datasets) {
    plan.work.emplace_back();
    const Status status = plan_dataset(context, dataset, notes, plan.work.back());
    if (!status.ok()) return fail(io, status.error(), kExitUsage);
  }
  const Result<std::unique_ptr<OutDir>> dir =
      OutDir::open(options.out_dir, options.resume, options.overwrite);
  if (!dir.ok()) return fail(io, dir.error(), dir.error().code == ErrorCode::kIo ? 1 : kExitUsage);
  for (DatasetWork& work : plan.work) {
    const Status status = prepare_cells(context, work);
    if (!status.ok()) return fail(io, status.error(), status.error().code == ErrorCode::kIo ? 1 : kExitUsage);
  }

  if (plan.engine->is_mock()) fmt::print(io.err, "MOCK: a dry run with a mock engine; nothing is measured\n");
  for (const std::string& note : notes) fmt::print(io.err, "note: {}\n", note);
  if (const Status status = measure(context, plan, io); !status.ok()) {
    if (status.error().code == ErrorCode::kCancelled) {
      fmt::print(io.err,
                 "stopped: what is finished is kept in {}; the same command with --resume continues\n",
                 options.out_dir);
      return kExitInterrupted;
    }
    fail(io, status.error(), 1);
    fmt::print(io.err, "what is finished is kept in {}; the same command with --resume continues\n",
               options.out_dir);
    return 1;
  }
  const Run run = collect(options, plan, machine, created_at, std::move(notes));
  if (const Status status = write_reports(run, plan); !status.ok()) {
    fail(io, status.error(), 1);
    fmt::print(io.err, "no report was written; all records are kept in {}: make room, then --resume\n",
               options.out_dir);
    return 1;
  }
  return finish(run, io);
}

}  // namespace kakeya::acceptance
