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

// kU32 holds packed affine codes (MLX); the q types are ggml's blocks in GGUF files.
enum class Dtype { kF32, kF16, kBf16, kU32, kQ8_0, kQ4_0, kQ4K, kQ5K, kQ6K, kOther };
const char* to_string(Dtype dtype);
std::size_t bytes_per_element(Dtype dtype);  // kOther and the q types: 0

struct TensorView {
  Dtype dtype = Dtype::kOther;
  std::string dtype_name;            // as the file spells it
  std::vector<std::uint64_t> shape;  // matrices are [out, in], whatever the file's own order
  // Rows of each head lie as in GGUF files of the llama architecture: rotated pairs side by side (row 2i and
  // 2i + 1) instead of half a head apart (row i and i + head_dim / 2). llama.cpp's converter moves row
  // i + j * head_dim / 2 of a head to row 2i + j, for j = 0, 1.
  bool paired_rows = false;
  std::span<const std::byte> bytes;  // inside the mapping; may be unaligned for the element type
};

// One checked header: offsets inside the file, no overlap, no gap, dtype x shape = bytes, bounded header.
// Errors: kCorruptData naming file, tensor, found and expected.
Result<std::map<std::string, TensorView>> parse_safetensors(const std::string& name,
                                                            std::span<const std::byte> file);

// All tensors of a model: a directory with model.safetensors, or model.safetensors.index.json and its shards;
// or a GGUF file, whose tensors appear under their Hugging Face names.
class TensorStore {
 public:
  static Result<TensorStore> open(const std::string& path);
  // Null when absent.
  const TensorView* find(const std::string& name) const;
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::vector<std::string>& files() const { return files_; }
  std::uint64_t total_bytes() const;
  // The pages that lie wholly inside `bytes` may leave memory: their content has been copied elsewhere. They
  // are read from the file again when touched.
  void release(std::span<const std::byte> bytes) const;

 private:
  static Result<TensorStore> open_gguf_file(const std::string& path);

  std::vector<base::MappedFile> mappings_;
  std::vector<std::string> files_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace kakeya::formats
