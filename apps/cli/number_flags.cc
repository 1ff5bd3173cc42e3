#include "cli/number_flags.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace kakeya::cli {
namespace {

// Empty when `text` is a number that fits; CLI11 alone wraps -1 around and cuts what is too large.
std::string unsigned_problem(const std::string& text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end) return {};
  return fmt::format("found '{}', expected a whole number from 0 to {}", text,
                     std::numeric_limits<std::uint64_t>::max());
}

// False for what is no number, too.
bool read_number(const std::string& text, double& out) {
  char* end = nullptr;
  out = std::strtod(text.c_str(), &end);
  return !text.empty() && end == text.c_str() + text.size();
}

// Flags are read as float or as double: what fits float fits both. No comparison with NaN is true, so a range
// alone would let it pass.
std::string finite_problem(const std::string& text) {
  double value = 0;
  if (!read_number(text, value)) return fmt::format("found '{}', expected a number", text);
  if (std::abs(value) <= double{std::numeric_limits<float>::max()}) return {};
  return fmt::format("found '{}', expected a finite number", text);
}

}  // namespace

CLI::Validator number_between(double low, double high) {
  return CLI::Validator(
      [low, high](const std::string& text) {
        double value = 0;
        if (read_number(text, value) && value >= low && value <= high) return std::string();
        return fmt::format("found '{}', expected a number from {} to {}", text, low, high);
      },
      fmt::format("in [{} - {}]", low, high));
}

CLI::Validator number_from_zero() {
  return CLI::Validator(
      [](const std::string& text) {
        double value = 0;
        if (read_number(text, value) && value >= 0) return std::string();
        return fmt::format("found '{}', expected a number from 0", text);
      },
      "NONNEGATIVE");
}

void check_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.rfind("UINT", 0) == 0) option->check(CLI::Validator(unsigned_problem, ""));
    if (type.rfind("FLOAT", 0) == 0) option->check(CLI::Validator(finite_problem, ""));
  }
  for (CLI::App* command : app.get_subcommands({})) check_numbers(*command);
}

}  // namespace kakeya::cli
