#include "formats/gguf_metadata.h"

#include <cstring>

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxListItems = 1024;  // of lists that are no part of a tokenizer: one item per layer

template <class T>
json number_as_json(const GgufMeta& value) {
  T out;
  std::memcpy(&out, value.bytes.data(), sizeof out);
  // ConfigReader wants whole numbers that are not negative as unsigned ones.
  if constexpr (std::is_integral_v<T>) {
    if (out >= 0) return static_cast<std::uint64_t>(out);
  }
  return out;
}

json as_json(const GgufMeta& value) {
  switch (value.type) {
    case GgufValue::kU8:
      return number_as_json<std::uint8_t>(value);
    case GgufValue::kI8:
      return number_as_json<std::int8_t>(value);
    case GgufValue::kU16:
      return number_as_json<std::uint16_t>(value);
    case GgufValue::kI16:
      return number_as_json<std::int16_t>(value);
    case GgufValue::kU32:
      return number_as_json<std::uint32_t>(value);
    case GgufValue::kI32:
      return number_as_json<std::int32_t>(value);
    case GgufValue::kU64:
      return number_as_json<std::uint64_t>(value);
    case GgufValue::kI64:
      return number_as_json<std::int64_t>(value);
    case GgufValue::kF32:
      return number_as_json<float>(value);
    case GgufValue::kF64:
      return number_as_json<double>(value);
    case GgufValue::kBool:
      return value.bytes.front() != std::byte{0};
    case GgufValue::kString:
      return std::string(text_of(value));
    case GgufValue::kArray:
      break;
  }
  json list = json::array();
  for (const std::int64_t item : integer_items(value)) {
    if (value.element == GgufValue::kBool) {
      list.push_back(item != 0);
    } else if (item >= 0) {
      list.push_back(static_cast<std::uint64_t>(item));
    } else {
      list.push_back(item);
    }
  }
  return list;
}

}  // namespace

nlohmann::json gguf_metadata_json(const GgufFile& file) {
  json out = json::object();
  for (const auto& [key, value] : file.metadata) {
    const bool long_list = value.type == GgufValue::kArray && value.count > kMaxListItems;
    if (long_list || key == "tokenizer.chat_template") continue;
    out[key] = as_json(value);
  }
  return out;
}

}  // namespace kakeya::formats
