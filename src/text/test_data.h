// Where tests of this folder find their files.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kakeya::text {

inline std::string source_path(const std::string& name) {
  return std::string(KAKEYA_SOURCE_DIR) + "/" + name;
}

// Data that others published lies beside the repository, not in it.
inline std::string shared_path(const std::string& name) {
  const char* shared = std::getenv("KAKEYA_SHARED");
  return (shared != nullptr ? std::string(shared) : source_path("../shared")) + "/" + name;
}

inline bool exists(const std::string& path) { return std::filesystem::exists(path); }

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<nlohmann::json> read_jsonl(const std::string& path) {
  std::vector<nlohmann::json> out;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(nlohmann::json::parse(line));
  }
  return out;
}

}  // namespace kakeya::text
