// Safetensors files and sharded sets of them: checked completely, then mapped. Nothing is copied.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"

namespace kakeya::formats {

enum class Dtype { kF32, kF16, kBf16, kOther };
const char* to_string(Dtype dtype);
std::size_t bytes_per_element(Dtype dtype);  // kOther: 0

struct TensorView {
  Dtype dtype = Dtype::kOther;
  std::string dtype_name;  // as the file spells it
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;  // inside the mapping; may be unaligned for the element type
};

// One checked header: offsets inside the file, no overlap, no gap, dtype x shape = bytes, bounded header.
// Errors: kCorruptData naming file, tensor, found and expected.
Result<std::map<std::string, TensorView>> parse_safetensors(const std::string& name,
                                                            std::span<const std::byte> file);

// All tensors of a model directory: model.safetensors, or model.safetensors.index.json and its shards.
class TensorStore {
 public:
  static Result<TensorStore> open(const std::string& directory);
  // Null when absent.
  const TensorView* find(const std::string& name) const;
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::vector<std::string>& files() const { return files_; }
  std::uint64_t total_bytes() const;

 private:
  std::vector<base::MappedFile> mappings_;
  std::vector<std::string> files_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace kakeya::formats
