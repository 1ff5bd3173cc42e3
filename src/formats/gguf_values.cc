// Reading checked GGUF values, and tensors under their Hugging Face names.
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "formats/gguf.h"
#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

template <class T>
void append_items(const GgufMeta& value, std::uint64_t count, std::vector<std::int64_t>& out) {
  out.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    T item;
    std::memcpy(&item, value.bytes.data() + i * sizeof item, sizeof item);
    out.push_back(static_cast<std::int64_t>(item));
  }
}

// `count` values of a type side by side; none when they are no whole numbers.
void append_integers(GgufValue type, const GgufMeta& value, std::uint64_t count,
                     std::vector<std::int64_t>& out) {
  switch (type) {
    case GgufValue::kU8:
    case GgufValue::kBool:
      return append_items<std::uint8_t>(value, count, out);
    case GgufValue::kI8:
      return append_items<std::int8_t>(value, count, out);
    case GgufValue::kU16:
      return append_items<std::uint16_t>(value, count, out);
    case GgufValue::kI16:
      return append_items<std::int16_t>(value, count, out);
    case GgufValue::kU32:
      return append_items<std::uint32_t>(value, count, out);
    case GgufValue::kI32:
      return append_items<std::int32_t>(value, count, out);
    case GgufValue::kU64:
      return append_items<std::uint64_t>(value, count, out);
    case GgufValue::kI64:
      return append_items<std::int64_t>(value, count, out);
    default:
      return;
  }
}

}  // namespace

bool is_gguf_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  if (path.ends_with(".gguf")) return true;
  std::ifstream in(path, std::ios::binary);
  std::array<char, 4> magic{};
  return in.read(magic.data(), magic.size()) && std::string_view(magic.data(), 4) == "GGUF";
}

std::string describe(const GgufMeta& value) {
  const auto kind = [](GgufValue type) {
    if (type == GgufValue::kString) return std::string("string");
    if (type == GgufValue::kArray) return std::string("list");
    return std::string(type == GgufValue::kBool ? "boolean" : "number");
  };
  if (value.type != GgufValue::kArray) return "a " + kind(value.type);
  return "a list of " + std::to_string(value.count) + " " + kind(value.element) + "s";
}

std::vector<std::string_view> string_items(const GgufMeta& value) {
  std::vector<std::string_view> out;
  if (value.type != GgufValue::kArray || value.element != GgufValue::kString) return out;
  out.reserve(value.count);
  const char* at = reinterpret_cast<const char*>(value.bytes.data());
  for (std::uint64_t i = 0; i < value.count; ++i) {
    std::uint64_t n = 0;
    std::memcpy(&n, at, sizeof n);
    out.emplace_back(at + sizeof n, n);
    at += sizeof n + n;
  }
  return out;
}

std::vector<std::int64_t> integer_items(const GgufMeta& value) {
  std::vector<std::int64_t> out;
  if (value.type == GgufValue::kArray) append_integers(value.element, value, value.count, out);
  return out;
}

std::optional<std::int64_t> integer_of(const GgufMeta& value) {
  std::vector<std::int64_t> out;
  if (value.type != GgufValue::kBool) append_integers(value.type, value, 1, out);
  return out.empty() ? std::nullopt : std::optional(out.front());
}

std::string_view text_of(const GgufMeta& value) {
  if (value.type != GgufValue::kString) return {};
  return {reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()};
}

Result<std::map<std::string, TensorView>> hugging_face_tensors(const GgufFile& file) {
  const GgufMeta* key = file.find("general.architecture");
  const std::string_view architecture = key == nullptr ? std::string_view() : text_of(*key);
  const bool llama = architecture == "llama";
  const bool draft = architecture == "dflash";
  std::map<std::string, TensorView> out;
  for (const GgufTensor& tensor : file.tensors) {
    // The frequencies are checked where the configuration is read (gguf_rope.cc).
    if (tensor.name == "rope_freqs.weight") continue;
    const std::string where =
        "read " + file.file_of(tensor) + ": tensor \"" + printable(tensor.name) + "\": ";
    if (draft && (tensor.name == "token_embd.weight" || tensor.name == "output.weight")) {
      return unsupported(where + "found it in a draft, expected none: drafts use the target's");
    }
    const auto name = hugging_face_tensor_name(tensor.name);
    if (!name) {
      return unsupported(where + "found a tensor that architecture \"" + printable(architecture) +
                         "\" does not have here, expected only known ones");
    }
    TensorView view;
    view.dtype = tensor.dtype;
    view.dtype_name = tensor.type_name;
    view.shape = tensor.shape;
    view.bytes = tensor.bytes;
    view.paired_rows =
        llama && (tensor.name.ends_with(".attn_q.weight") || tensor.name.ends_with(".attn_k.weight"));
    if (!out.emplace(*name, std::move(view)).second) {
      return corrupt_data(where + "found two tensors that mean " + *name + ", expected one");
    }
  }
  return out;
}

}  // namespace kakeya::formats
