// One cell (data set x channel) of a finished run, and the run that holds them: what every report is made
// from.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "acceptance/bench_engine.h"
#include "acceptance/dataset.h"
#include "acceptance/machine.h"
#include "acceptance/metrics.h"
#include "acceptance/options.h"
#include "acceptance/verdict.h"

namespace kakeya::acceptance {

// A control of the run itself: one that fails makes its figures doubtful.
struct Check {
  std::string name;
  bool passed = true;
  std::string detail;
};

struct Cell {
  std::size_t dataset = 0;  // index into Run::datasets
  ChannelFacts channel;
  std::string template_name;
  std::vector<Record> records;
  CellMetrics metrics;
  Comparison comparison;                      // of the protocol that decides
  std::optional<Comparison> free_comparison;  // when both were run
  std::optional<FidelityVerdict> fidelity;
  std::vector<Check> checks;
};

struct Run {
  RunOptions options;
  std::string engine_kind;  // "kakeya" or "mock"
  ModelFacts target, draft;
  std::string isa;
  int threads = 0;
  MachineFacts machine;
  std::string created_at;
  std::size_t block_size = 0, verify_width = 0;  // in effect
  std::vector<Dataset> datasets;
  std::vector<std::string> notes;
  std::vector<Cell> cells;  // data set by data set, bf16 first
  bool mock() const { return engine_kind == "mock"; }
  const Dataset& dataset_of(const Cell& cell) const { return datasets[cell.dataset]; }
  // Over data sets: non-inferior only when it is so everywhere.
  Verdict channel_verdict(const std::string& channel) const;
  std::optional<Fidelity> channel_fidelity(const std::string& channel) const;
  std::vector<std::string> channels() const;
};

// Metrics, comparisons and checks of all cells from their records. Same records, same result, byte for byte.
void evaluate(Run& run);

std::string cell_file_name(const std::string& dataset, const std::string& channel);  // "b2_dflash_kakeya_..."
std::string journal_file_name(const std::string& dataset, const std::string& channel);

// The result file (schema b2-dflash-kakeya-v1). `identity` is what --resume compares.
nlohmann::ordered_json cell_json(const Run& run, const Cell& cell, const nlohmann::ordered_json& identity);

}  // namespace kakeya::acceptance
