// Lists and ranges as llama-bench takes them.
#include "speed/options.h"

#include <fmt/format.h>

#include <charconv>

namespace kakeya::speed {
namespace {

// Far above any context; below it no sum of a few counts overflows.
constexpr std::size_t kLargestCount = std::size_t{1} << 31;
constexpr std::size_t kLongestList = 10000;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

bool parse_count(std::string_view text, std::size_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && *out <= kLargestCount;
}

Error bad_list(const char* flag, std::string_view part) {
  return invalid_argument(
      fmt::format("{}: found '{}', expected numbers up to {}, by commas, or ranges 'first-last', "
                  "'first-last+step', 'first-last*factor'",
                  flag, part, kLargestCount));
}

// first-last, first-last+step, first-last*factor
Status add_range(const char* flag, std::string_view part, std::vector<std::size_t>& out) {
  const std::size_t dash = part.find('-'), sign = part.find_first_of("+*");
  std::size_t first = 0, last = 0, step = 1;
  const bool factor = sign != std::string_view::npos && part[sign] == '*';
  const std::size_t end = sign == std::string_view::npos ? part.size() : sign;
  if (dash > end || !parse_count(part.substr(0, dash), &first) ||
      !parse_count(part.substr(dash + 1, end - dash - 1), &last) || last < first ||
      (sign != std::string_view::npos && !parse_count(part.substr(sign + 1), &step)) ||
      (factor ? step < 2 || first == 0 : step == 0)) {
    return bad_list(flag, part);
  }
  for (std::size_t i = first; i <= last; i = factor ? i * step : i + step) {
    out.push_back(i);
    if (out.size() > kLongestList) return bad_list(flag, part);
  }
  return {};
}

}  // namespace

Result<std::vector<std::size_t>> parse_counts(const char* flag, std::string_view text) {
  std::vector<std::size_t> out;
  for (const std::string_view part : split(text, ',')) {
    std::size_t count = 0;
    if (part.find('-') != std::string_view::npos) {
      KAKEYA_TRY(add_range(flag, part, out));
    } else if (parse_count(part, &count)) {
      out.push_back(count);
    } else {
      return bad_list(flag, part);
    }
  }
  return out;
}

Result<std::vector<std::pair<std::size_t, std::size_t>>> parse_prompt_gens(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (const std::string_view part : split(text, ';')) {
    const auto numbers = split(part, ',');
    std::size_t prompt = 0, gen = 0;
    if (numbers.size() != 2 || !parse_count(numbers[0], &prompt) || !parse_count(numbers[1], &gen) ||
        prompt == 0 || gen == 0) {
      return invalid_argument(fmt::format(
          "-pg: found '{}', expected two numbers of at least 1, tokens of the prompt and tokens after it: "
          "512,128",
          part));
    }
    out.emplace_back(prompt, gen);
  }
  return out;
}

Result<std::vector<std::string>> parse_names(const char* flag, std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view part : split(text, ',')) {
    if (part.empty()) return invalid_argument(fmt::format("{}: found '{}', expected names", flag, text));
    out.emplace_back(part);
  }
  return out;
}

}  // namespace kakeya::speed
