// The JSON header of one safetensors file as a list of entries: syntax and bounds only. What the
// numbers mean together (layout, sizes) is checked in safetensors.cc.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kakeya::formats {

struct HeaderEntry {
  std::string name, dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;  // relative to the data, unchecked
};

struct Header {
  std::size_t data_start = 0;  // 8 + header length
  std::vector<HeaderEntry> entries;
};

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's cap
constexpr std::size_t kMaxTensorsPerFile = 65536;
constexpr std::size_t kMaxTensorRank = 8;
constexpr std::size_t kMaxTensorNameBytes = 1024;

// Errors: kCorruptData naming file, tensor and field.
Result<Header> read_safetensors_header(const std::string& name, std::span<const std::byte> file);

}  // namespace kakeya::formats
