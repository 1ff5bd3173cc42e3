#include "gate/table.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace kakeya::gate {
namespace {

constexpr const char* kCompiler = "# compiler: ";
constexpr const char* kHighway = "# highway: ";
constexpr const char* kFlags = "# flags: ";

std::string text_of(double per_unit) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", per_unit);
  return buffer;
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> out;
  std::stringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) out.push_back(field);
  return out;
}

// Name and major version: "gcc 12".
std::string major(const std::string& compiler) { return compiler.substr(0, compiler.find('.')); }

}  // namespace

Toolchain this_toolchain() {
#if defined(__clang__)
  const std::string compiler = "clang " + std::to_string(__clang_major__) + "." +
                               std::to_string(__clang_minor__) + "." + std::to_string(__clang_patchlevel__);
#else
  const std::string compiler = "gcc " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) +
                               "." + std::to_string(__GNUC_PATCHLEVEL__);
#endif
  return {compiler, KAKEYA_GATE_HIGHWAY, KAKEYA_GATE_FLAGS};
}

std::string difference(const Toolchain& table, const Toolchain& own) {
  if (major(table.compiler) != major(own.compiler)) return "compiler " + table.compiler;
  if (table.highway != own.highway) return "highway " + table.highway;
  if (table.flags != own.flags) return "flags '" + table.flags + "'";
  return "";
}

double rounded(double per_unit) { return std::strtod(text_of(per_unit).c_str(), nullptr); }

Result<Table> read_table(const std::string& path) {
  std::ifstream file(path);
  if (!file) return not_found("instruction table: " + path + ": cannot be read");
  Table out;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.starts_with(kCompiler)) out.toolchain.compiler = line.substr(std::string(kCompiler).size());
    if (line.starts_with(kHighway)) out.toolchain.highway = line.substr(std::string(kHighway).size());
    if (line.starts_with(kFlags)) out.toolchain.flags = line.substr(std::string(kFlags).size());
    if (line.empty() || line.starts_with('#')) continue;
    const std::string place = "instruction table: " + path + ": line " + std::to_string(number) + ": ";
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() != 4) {
      return corrupt_data(place + "found " + std::to_string(fields.size()) + " fields, expected 4");
    }
    const double per_unit = std::strtod(fields[2].c_str(), nullptr);
    if (!(per_unit > 0)) return corrupt_data(place + "found '" + fields[2] + "', expected a number above 0");
    if (!out.entries.insert({{fields[0], fields[1]}, {per_unit, fields[3]}}).second) {
      return corrupt_data(place + "found " + fields[0] + " [" + fields[1] + "] a second time");
    }
  }
  if (out.toolchain.compiler.empty()) {
    return corrupt_data("instruction table: " + path + ": found no line '" + kCompiler + "...'");
  }
  return out;
}

Status write_table(const std::string& path, const Table& table) {
  std::ofstream file(path, std::ios::trunc);
  file << "# Instructions of the main kernels per unit of work; CONTRIBUTING.md says how to read and update "
          "it.\n"
       << kCompiler << table.toolchain.compiler << '\n'
       << kHighway << table.toolchain.highway << '\n'
       << kFlags << table.toolchain.flags << '\n'
       << "# case\tvariant\tinstructions\tper\n";
  for (const auto& [key, entry] : table.entries) {
    file << key.first << '\t' << key.second << '\t' << text_of(entry.per_unit) << '\t' << entry.unit << '\n';
  }
  file.close();
  if (!file) return io_error("instruction table: " + path + ": cannot be written");
  return {};
}

}  // namespace kakeya::gate
