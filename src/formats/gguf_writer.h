// Writes a GGUF file: metadata and the list of tensors first, then the tensors in the order of the list. The
// file appears under its name only when it is complete and on disk. Knows nothing of models.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_names.h"

namespace kakeya::formats {

class GgufWriter {
 public:
  explicit GgufWriter(std::string path) : path_(std::move(path)) {}
  ~GgufWriter();  // removes what is unfinished
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  // Metadata; every key once.
  void set(const std::string& key, std::uint32_t value);
  void set(const std::string& key, float value);
  void set(const std::string& key, bool value);
  void set(const std::string& key, std::string_view value);
  void set(const std::string& key, const char* value) { set(key, std::string_view(value)); }
  void set(const std::string& key, const std::vector<std::string>& values);
  void set(const std::string& key, std::span<const std::int32_t> values);
  void set(const std::string& key, const std::vector<bool>& values);

  // `shape` is [out, in] as everywhere here; the file has it reversed. The row length is a multiple of the
  // type's block.
  void add_tensor(const std::string& name, const GgmlType& type, std::vector<std::uint64_t> shape);
  std::uint64_t file_bytes() const;

  // Errors of these: kIo with the path (disk full, no permission, ...).
  Status begin();
  // The next bytes of the tensors; a call stays inside one tensor.
  Status write(std::span<const std::byte> bytes);
  Status finish();

 private:
  struct Tensor {
    std::string name;
    const GgmlType* type;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes = 0, offset = 0;
  };
  void begin_value(const std::string& key, GgufValue type);
  std::string header() const;
  Status write_raw(const void* data, std::size_t n);
  Status pad();

  std::string path_, temporary_;
  std::string metadata_;
  std::uint64_t metadata_count_ = 0, data_bytes_ = 0;
  std::vector<Tensor> tensors_;
  std::size_t current_ = 0;      // tensor being written
  std::uint64_t in_tensor_ = 0;  // its bytes so far
  std::uint64_t position_ = 0;
  int fd_ = -1;
};

}  // namespace kakeya::formats
