// GGUF files as llama.cpp writes them, versions 2 and 3: metadata and tensors checked completely, left in
// place. What keys and names mean for a model is not known here; see gguf_config.h and gguf_tokenizer.h.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "formats/gguf_names.h"
#include "formats/safetensors.h"

namespace kakeya::formats {

// One metadata value, as a checked view into the file.
struct GgufMeta {
  GgufValue type = GgufValue::kU8;
  GgufValue element = GgufValue::kU8;  // of an array
  std::uint64_t count = 0;             // of an array
  std::span<const std::byte> bytes;    // the number; the text of a string; the elements of an array
};

struct GgufTensor {
  std::string name;
  Dtype dtype = Dtype::kOther;
  const char* type_name = "";        // as ggml spells it
  std::vector<std::uint64_t> shape;  // [out, in]: the file's order reversed
  std::span<const std::byte> bytes;
  std::size_t part = 0;  // of a split model, from 0
};

// What a file says that is one of several: keys split.no, split.count and split.tensors.count.
struct GgufSplit {
  std::uint32_t number = 0, count = 1;  // the number from 0
  std::uint64_t tensors = 0;            // in all parts together
};

struct GgufFile {
  std::string name;                // of a split model: of its first part
  std::vector<std::string> parts;  // of a split model: the names of all parts
  std::optional<GgufSplit> split;  // of one part; nothing for a whole file and a whole model
  std::uint32_t version = 0;
  std::uint64_t alignment = kGgufAlignment;
  std::map<std::string, GgufMeta, std::less<>> metadata;
  std::vector<GgufTensor> tensors;  // in the order of the file

  const GgufMeta* find(std::string_view key) const;  // null when absent
  const GgufTensor* tensor(std::string_view wanted) const;
  // The name of the file that the tensor lies in.
  const std::string& file_of(const GgufTensor& tensor) const {
    return parts.empty() ? name : parts[tensor.part];
  }
};

// Every count, length and offset is checked against the file before anything is allocated for it. Errors:
// kCorruptData (file, metadata key or tensor, found, expected); kUnsupported for version 1 and big-endian
// files. Views point into `file`. One part of a split model is parsed by itself.
Result<GgufFile> parse_gguf(const std::string& name, std::span<const std::byte> file);

struct MappedGguf {
  std::vector<base::MappedFile> mappings;  // one per part
  GgufFile file;                           // views into the mappings
};
// One file, or by the name of any of its parts all of a split model, as one. Errors: those of parse_gguf;
// with the part's name, key, found and expected: kNotFound (a part that is missing), kCorruptData (counts
// that differ, a part of another model, a tensor in two parts).
Result<MappedGguf> open_gguf(const std::string& path);
// The path of the first part of a split model when `path` names one of its parts; else `path`.
std::string first_part_of(const std::string& path);

// True when `path` is a file that begins like one of GGUF, or is called so.
bool is_gguf_file(const std::string& path);

// What a value is, for "found ..." in messages: "a list of 4 strings", "a number".
std::string describe(const GgufMeta& value);
// The items of an array of strings or of whole numbers; empty for every other value.
std::vector<std::string_view> string_items(const GgufMeta& value);
std::vector<std::int64_t> integer_items(const GgufMeta& value);
std::optional<std::int64_t> integer_of(const GgufMeta& value);  // nothing for what is no whole number
std::string_view text_of(const GgufMeta& value);                // "" when no string

// All tensors under their Hugging Face names, but for rope_freqs.weight. Errors: kUnsupported for every other
// tensor without such a name (biases, experts, sinks): to skip one would give wrong numbers silently.
Result<std::map<std::string, TensorView>> hugging_face_tensors(const GgufFile& file);

}  // namespace kakeya::formats
