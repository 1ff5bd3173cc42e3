// Names of files that are one of several: "dir/NAME-00002-of-00003.gguf", as llama.cpp's gguf-split writes
// them. Names only; what lies in the files is for others.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::base {

struct SplitName {
  std::string prefix;        // "dir/NAME"
  std::uint32_t number = 1;  // from 1
  std::uint32_t count = 1;

  std::string path_of(std::uint32_t part) const;  // part from 1
  friend bool operator==(const SplitName&, const SplitName&) = default;
};

// Nothing for other names, and for numbers outside 1 to count. Five digits each; the ending is ".gguf".
std::optional<SplitName> parse_split_name(std::string_view path);

// The files of one model: the parts of a split one, by number, or a single file.
struct FileGroup {
  std::vector<std::string> paths;  // that are there
  std::uint32_t count = 1;         // that belong to it

  bool complete() const { return paths.size() == count; }
};
// By the first path of each group in the order given. A path given twice counts once.
std::vector<FileGroup> group_split_files(const std::vector<std::string>& paths);

}  // namespace kakeya::base
