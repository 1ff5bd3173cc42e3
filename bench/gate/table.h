// The committed table: instructions per unit of work of every case, and what compiled them. Tab-separated:
// case, variant, instructions per unit, unit.
#pragma once
#include <kakeya/result.h>

#include <map>
#include <string>
#include <utility>

namespace kakeya::gate {

// Instructions depend on these; a table of another compiler's says nothing about the code.
struct Toolchain {
  std::string compiler;  // "gcc 12.2.0"
  std::string highway;   // "1.0.3"
  std::string flags;     // "-O2 -DNDEBUG"
};
// Of this program.
Toolchain this_toolchain();
// Empty, or what makes two incomparable: compiler's name and major version, highway's version, flags.
std::string difference(const Toolchain& table, const Toolchain& own);

struct Entry {
  double per_unit = 0;
  std::string unit;
};
using Key = std::pair<std::string, std::string>;  // case, variant

struct Table {
  Toolchain toolchain;
  std::map<Key, Entry> entries;
};

// Errors: kNotFound, kCorruptData with the line.
Result<Table> read_table(const std::string& path);
Status write_table(const std::string& path, const Table& table);
// As it stands in the table: four significant digits.
double rounded(double per_unit);

}  // namespace kakeya::gate
