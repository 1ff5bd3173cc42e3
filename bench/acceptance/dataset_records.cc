#include "acceptance/dataset_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "acceptance/jsonl.h"

namespace kakeya::acceptance {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 2> kMathFields = {"question", "answer"};
constexpr std::array<const char*, 5> kCodeFields = {"task_id", "prompt", "entry_point", "canonical_solution",
                                                    "test"};

std::span<const char* const> fields_of(TaskKind kind) {
  if (kind == TaskKind::kMath) return kMathFields;
  return kCodeFields;
}

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_identifier(std::string_view name) {
  const auto part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), part);
}

// "-1,234.5", "$18": what GSM8K writes after its mark.
bool is_published_number(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  if (!text.empty() && text[0] == '$') text.remove_prefix(1);
  bool digit = false, point = false;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      digit = true;
    } else if (c != ',' || point) {
      return false;
    }
  }
  return digit;
}

Error bad_field(const std::string& where, const char* field, const std::string& found, const char* expected) {
  return corrupt_data(
      fmt::format("read {}: field \"{}\": found {}, expected {}", where, field, found, expected));
}

Status fill_math(const std::vector<std::string>& values, const std::string& where, Problem& problem) {
  problem.prompt = values[0];
  problem.solution = values[1];
  if (trimmed(problem.prompt).empty()) return bad_field(where, "question", "nothing", "a question");
  const std::size_t mark = problem.solution.rfind("####");
  if (mark == std::string::npos) {
    return bad_field(where, "answer", "no \"####\"", "a solution that ends with \"#### <number>\"");
  }
  problem.answer = trimmed(std::string_view(problem.solution).substr(mark + 4));
  if (!is_published_number(problem.answer)) {
    return bad_field(where, "answer", quoted_excerpt(problem.answer, 40) + " after \"####\"", "a number");
  }
  return {};
}

Status fill_code(const std::vector<std::string>& values, const std::string& where, Problem& problem) {
  problem.task_id = values[0];
  problem.prompt = values[1];
  problem.entry_point = values[2];
  problem.solution = values[3];
  problem.test = values[4];
  if (trimmed(problem.task_id).empty()) return bad_field(where, "task_id", "nothing", "a name");
  if (!is_identifier(problem.entry_point)) {
    return bad_field(where, "entry_point", quoted_excerpt(problem.entry_point, 40), "the name of a function");
  }
  if (problem.prompt.find("def " + problem.entry_point) == std::string::npos) {
    return bad_field(where, "prompt", "no \"def " + problem.entry_point + "\"",
                     "the head of the entry point");
  }
  if (problem.test.find("def check(") == std::string::npos) {
    return bad_field(where, "test", "no \"def check(\"", "a function check(candidate)");
  }
  return {};
}

Result<Problem> parse_line(const DatasetSpec& spec, std::string_view line, const std::string& where) {
  if (line.size() > kMaxLineBytes) {
    return corrupt_data(fmt::format("read {}: found {} bytes in a line, expected at most {}", where,
                                    line.size(), kMaxLineBytes));
  }
  KAKEYA_ASSIGN(const json record, parse_json(line, where));
  if (!record.is_object()) {
    return corrupt_data(fmt::format("read {}: found {}, expected an object", where, record.type_name()));
  }
  std::vector<std::string> values;
  for (const char* field : fields_of(spec.kind)) {
    KAKEYA_ASSIGN(std::string value, string_field(record, field, where));
    values.push_back(std::move(value));
  }
  Problem problem;
  problem.kind = spec.kind;
  KAKEYA_TRY(spec.kind == TaskKind::kMath ? fill_math(values, where, problem)
                                          : fill_code(values, where, problem));
  return problem;
}

}  // namespace

const std::vector<DatasetSpec>& dataset_specs() {
  static const std::vector<DatasetSpec> specs = {
      {"gsm8k",
       TaskKind::kMath,
       {"gsm8k/test.jsonl", "gsm8k/main/test.jsonl", "gsm8k/gsm8k_test.jsonl", "gsm8k.jsonl",
        "gsm8k_test.jsonl", "grade-school-math/grade_school_math/data/test.jsonl"},
       "",
       "openai/gsm8k",
       "main",
       "test",
       1319},
      {"humaneval",
       TaskKind::kCode,
       {"humaneval/HumanEval.jsonl", "humaneval/humaneval.jsonl", "humaneval/test.jsonl", "HumanEval.jsonl",
        "humaneval.jsonl", "human-eval/data/HumanEval.jsonl"},
       "",
       "openai/openai_humaneval",
       "openai_humaneval",
       "test",
       164},
      {"gsm-mini", TaskKind::kMath, {}, "data/gsm-mini.jsonl", "", "", "", 0},
      {"py-mini", TaskKind::kCode, {}, "data/py-mini.jsonl", "", "", "", 0},
  };
  return specs;
}

const DatasetSpec* find_dataset_spec(std::string_view name) {
  const auto& specs = dataset_specs();
  const auto it =
      std::find_if(specs.begin(), specs.end(), [&](const DatasetSpec& s) { return s.name == name; });
  return it == specs.end() ? nullptr : &*it;
}

Result<std::vector<Problem>> parse_jsonl_problems(const std::string& name, const std::string& file,
                                                  std::string_view text) {
  const DatasetSpec* spec = find_dataset_spec(name);
  if (spec == nullptr)
    return invalid_argument(
        fmt::format("parse {}: found unknown data set {}", file, quoted_excerpt(name, 40)));
  if (text.size() > kMaxDatasetBytes) {
    return corrupt_data(
        fmt::format("read {}: found {} bytes, expected at most {}", file, text.size(), kMaxDatasetBytes));
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);  // byte order mark
  std::vector<Problem> problems;
  std::set<std::string> task_ids;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::string where = fmt::format("{} line {}", file, number);
    if (problems.size() == kMaxRecords) {
      return corrupt_data(
          fmt::format("read {}: found more than {} records, expected at most that", where, kMaxRecords));
    }
    KAKEYA_ASSIGN(Problem problem, parse_line(*spec, line, where));
    problem.index = problems.size();
    if (problem.task_id.empty()) problem.task_id = fmt::format("{}/{}", name, problem.index);
    if (!task_ids.insert(problem.task_id).second) {
      return bad_field(where, "task_id", quoted_excerpt(problem.task_id, 60) + " a second time",
                       "a name of its own");
    }
    problems.push_back(std::move(problem));
  }
  if (problems.empty())
    return corrupt_data(fmt::format("read {}: found no record, expected at least one", file));
  return problems;
}

Result<std::string> published_line(TaskKind kind, const json& row, const std::string& where) {
  if (!row.is_object())
    return corrupt_data(fmt::format("read {}: found {}, expected an object", where, row.type_name()));
  std::string line = "{";
  for (const char* field : fields_of(kind)) {
    KAKEYA_ASSIGN(const std::string value, string_field(row, field, where));
    if (line.size() > 1) line += ", ";
    line += fmt::format("\"{}\": {}", field, json(value).dump(-1, ' ', /*ensure_ascii=*/true));
  }
  return line + "}\n";
}

}  // namespace kakeya::acceptance
