#include "base/split_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kakeya::base {
namespace {

constexpr std::string_view kEnding = ".gguf", kBetween = "-of-";
constexpr std::size_t kDigits = 5;
constexpr std::size_t kSuffix = 1 + kDigits + kBetween.size() + kDigits;  // "-00001-of-00003"

std::optional<std::uint32_t> number_of(std::string_view digits) {
  std::uint32_t out = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    out = out * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return out;
}

}  // namespace

std::string SplitName::path_of(std::uint32_t part) const {
  return fmt::format("{}-{:05}{}{:05}{}", prefix, part, kBetween, count, kEnding);
}

std::optional<SplitName> parse_split_name(std::string_view path) {
  if (path.size() <= kSuffix + kEnding.size() || !path.ends_with(kEnding)) return std::nullopt;
  path.remove_suffix(kEnding.size());
  const std::string_view prefix = path.substr(0, path.size() - kSuffix);
  const std::string_view suffix = path.substr(prefix.size());
  if (prefix.ends_with('/') || suffix.front() != '-') return std::nullopt;
  if (suffix.substr(1 + kDigits, kBetween.size()) != kBetween) return std::nullopt;
  const auto number = number_of(suffix.substr(1, kDigits));
  const auto count = number_of(suffix.substr(suffix.size() - kDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return SplitName{std::string(prefix), *number, *count};
}

std::vector<FileGroup> group_split_files(const std::vector<std::string>& paths) {
  std::vector<FileGroup> out;
  std::map<std::string, std::size_t> group_of;  // by the path of the first part, or of the file
  for (const std::string& path : paths) {
    const auto split = parse_split_name(path);
    const auto [known, is_new] = group_of.emplace(split ? split->path_of(1) : path, out.size());
    if (is_new) out.push_back({{}, split ? split->count : 1});
    std::vector<std::string>& group = out[known->second].paths;
    if (std::find(group.begin(), group.end(), path) == group.end()) group.push_back(path);
  }
  for (FileGroup& group : out) std::sort(group.paths.begin(), group.paths.end());
  return out;
}

}  // namespace kakeya::base
