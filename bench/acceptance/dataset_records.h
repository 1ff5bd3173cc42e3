// The record layouts of GSM8K and HumanEval: bytes of a jsonl file -> problems, and rows -> the published
// bytes. Pure functions of untrusted bytes; nothing here touches a file or the network. Layouts:
// docs/formats/datasets.md.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "acceptance/dataset.h"

namespace kakeya::acceptance {

inline constexpr std::size_t kMaxDatasetBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxRecords = 100'000;

// What is known about a data set by its name.
struct DatasetSpec {
  std::string name;
  TaskKind kind = TaskKind::kMath;
  std::vector<std::string> local_paths;  // below data_dir, first one found wins; .gz of each as well
  std::string embedded_path;             // below share_dir; empty = not embedded
  std::string hub_dataset, hub_config, hub_split;  // empty = not on the hub
  std::size_t hub_rows = 0;                        // records as published
};
const std::vector<DatasetSpec>& dataset_specs();
// nullptr when the name is unknown.
const DatasetSpec* find_dataset_spec(std::string_view name);

// Every record of `text` in file order, index = position. `file` is used in messages only: they name file,
// line, field, found and expected. `name` gives the layout (a name of dataset_names). Errors:
// kInvalidArgument, kCorruptData.
Result<std::vector<Problem>> parse_jsonl_problems(const std::string& name, const std::string& file,
                                                  std::string_view text);

// One line with the fields of the layout, in the order and escaping of the published files (Python's
// json.dumps), so that a downloaded set has the digest of the published one when its rows are the same.
Result<std::string> published_line(TaskKind kind, const nlohmann::json& row, const std::string& where);

}  // namespace kakeya::acceptance
