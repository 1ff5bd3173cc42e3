#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

#include "base/checked_math.h"
#include "formats/gguf_cursor.h"
#include "formats/gguf_split.h"
#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in memory order");

constexpr std::uint64_t kMaxMetadata = 65536;
constexpr std::uint64_t kMaxTensors = 65536;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxStringBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxNameBytes = 1024;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::uint64_t kMaxAlignment = 65536;
constexpr int kMaxArrayDepth = 4;

struct OtherType {
  std::uint32_t number;
  const char* name;
  std::uint64_t block_values, block_bytes;
};
// Types of ggml that are not computed with here: known by name and size. A block of 0: removed from ggml.
constexpr std::array kOtherTypes = {
    OtherType{3, "Q4_1", 32, 20},      OtherType{4, "Q4_2", 0, 0},        OtherType{5, "Q4_3", 0, 0},
    OtherType{6, "Q5_0", 32, 22},      OtherType{7, "Q5_1", 32, 24},      OtherType{9, "Q8_1", 32, 36},
    OtherType{10, "Q2_K", 256, 84},    OtherType{11, "Q3_K", 256, 110},   OtherType{15, "Q8_K", 256, 292},
    OtherType{16, "IQ2_XXS", 256, 66}, OtherType{17, "IQ2_XS", 256, 74},  OtherType{18, "IQ3_XXS", 256, 98},
    OtherType{19, "IQ1_S", 256, 50},   OtherType{20, "IQ4_NL", 32, 18},   OtherType{21, "IQ3_S", 256, 110},
    OtherType{22, "IQ2_S", 256, 82},   OtherType{23, "IQ4_XS", 256, 136}, OtherType{24, "I8", 1, 1},
    OtherType{25, "I16", 1, 2},        OtherType{26, "I32", 1, 4},        OtherType{27, "I64", 1, 8},
    OtherType{28, "F64", 1, 8},        OtherType{29, "IQ1_M", 256, 56},   OtherType{31, "Q4_0_4_4", 0, 0},
    OtherType{32, "Q4_0_4_8", 0, 0},   OtherType{33, "Q4_0_8_8", 0, 0},   OtherType{34, "TQ1_0", 256, 54},
    OtherType{35, "TQ2_0", 256, 66},   OtherType{36, "IQ4_NL_4_4", 0, 0}, OtherType{37, "IQ4_NL_4_8", 0, 0},
    OtherType{38, "IQ4_NL_8_8", 0, 0}, OtherType{39, "MXFP4", 32, 17},    OtherType{40, "NVFP4", 64, 36},
    OtherType{41, "Q1_0", 128, 18},    OtherType{42, "Q2_0", 64, 18},
};

// Bytes of one value; 0 for strings and arrays.
std::uint64_t scalar_bytes(GgufValue type) {
  switch (type) {
    case GgufValue::kU8:
    case GgufValue::kI8:
    case GgufValue::kBool:
      return 1;
    case GgufValue::kU16:
    case GgufValue::kI16:
      return 2;
    case GgufValue::kU32:
    case GgufValue::kI32:
    case GgufValue::kF32:
      return 4;
    case GgufValue::kU64:
    case GgufValue::kI64:
    case GgufValue::kF64:
      return 8;
    case GgufValue::kString:
    case GgufValue::kArray:
      break;
  }
  return 0;
}

Result<GgufValue> read_value_type(GgufCursor& cursor, const char* field) {
  KAKEYA_ASSIGN(const auto number, cursor.number<std::uint32_t>(field));
  if (number > static_cast<std::uint32_t>(GgufValue::kF64)) {
    return cursor.corrupt(field, std::to_string(number), "a type from 0 to 12");
  }
  return static_cast<GgufValue>(number);
}

Status check_booleans(const GgufCursor& cursor, std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) {
    if (b > std::byte{1}) {
      return cursor.corrupt("boolean", std::to_string(std::to_integer<int>(b)), "0 or 1");
    }
  }
  return {};
}

// The elements of an array, already counted; `depth` arrays lie around them.
Status skip_elements(GgufCursor& cursor, GgufValue element, std::uint64_t count, int depth) {
  if (const std::uint64_t size = scalar_bytes(element); size > 0) {
    if (count > cursor.left() / size) {
      return cursor.corrupt(
          "array", std::to_string(count) + " elements",
          "at most " + std::to_string(cursor.left() / size) + " before the end of the file");
    }
    KAKEYA_ASSIGN(const auto bytes, cursor.take("array", count * size));
    return element == GgufValue::kBool ? check_booleans(cursor, bytes) : Status();
  }
  // Each further element takes at least its length from the file, which ends the loop.
  if (count > cursor.left() / sizeof(std::uint64_t)) {
    return cursor.corrupt("array", std::to_string(count) + " elements", "no more than the file has room for");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (element == GgufValue::kString) {
      KAKEYA_TRY(cursor.string("string of an array", kMaxStringBytes));
      continue;
    }
    if (depth >= kMaxArrayDepth) {
      return cursor.corrupt("array", "arrays inside arrays beyond " + std::to_string(kMaxArrayDepth),
                            "at most " + std::to_string(kMaxArrayDepth));
    }
    KAKEYA_ASSIGN(const GgufValue inner, read_value_type(cursor, "array type"));
    KAKEYA_ASSIGN(const auto inner_count, cursor.number<std::uint64_t>("array length"));
    KAKEYA_TRY(skip_elements(cursor, inner, inner_count, depth + 1));
  }
  return {};
}

Result<GgufMeta> read_value(GgufCursor& cursor, std::span<const std::byte> file) {
  GgufMeta out;
  KAKEYA_ASSIGN(out.type, read_value_type(cursor, "value type"));
  if (out.type == GgufValue::kString) {
    KAKEYA_ASSIGN(const std::string_view text, cursor.string("string", kMaxStringBytes));
    out.bytes = std::as_bytes(std::span(text.data(), text.size()));
    return out;
  }
  if (out.type == GgufValue::kArray) {
    KAKEYA_ASSIGN(out.element, read_value_type(cursor, "array type"));
    KAKEYA_ASSIGN(out.count, cursor.number<std::uint64_t>("array length"));
    const std::uint64_t begin = cursor.position();
    KAKEYA_TRY(skip_elements(cursor, out.element, out.count, 1));
    out.bytes = file.subspan(begin, cursor.position() - begin);
    return out;
  }
  KAKEYA_ASSIGN(out.bytes, cursor.take("value", scalar_bytes(out.type)));
  if (out.type == GgufValue::kBool) KAKEYA_TRY(check_booleans(cursor, out.bytes));
  return out;
}

Status read_metadata(GgufCursor& cursor, std::span<const std::byte> file, std::uint64_t count,
                     GgufFile& out) {
  for (std::uint64_t i = 0; i < count; ++i) {
    cursor.enter("metadata " + std::to_string(i));
    KAKEYA_ASSIGN(const std::string_view key, cursor.string("key", kMaxKeyBytes));
    if (key.empty()) return cursor.corrupt("key", "an empty string", "a name");
    cursor.enter("metadata \"" + printable(key) + "\"");
    KAKEYA_ASSIGN(const GgufMeta value, read_value(cursor, file));
    if (!out.metadata.emplace(key, value).second) {
      return cursor.corrupt("", "the key twice", "every key once");
    }
  }
  return {};
}

Status apply_alignment(GgufCursor& cursor, GgufFile& out) {
  if (const GgufMeta* value = out.find("general.alignment"); value != nullptr) {
    cursor.enter("metadata \"general.alignment\"");
    if (value->type != GgufValue::kU32) return cursor.corrupt("", describe(*value), "a number of type u32");
    std::uint32_t alignment = 0;
    std::memcpy(&alignment, value->bytes.data(), sizeof alignment);
    if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
      return cursor.corrupt("", std::to_string(alignment),
                            "a power of two up to " + std::to_string(kMaxAlignment));
    }
    out.alignment = alignment;
  }
  return {};
}

struct TensorInfo {
  GgufTensor tensor;
  std::uint64_t offset = 0, bytes = 0;  // relative to the data
};

// Name and size of type `number`, and from it the tensor's bytes.
Status apply_type(const GgufCursor& cursor, std::uint32_t number, TensorInfo& info) {
  std::uint64_t block_values = 0, block_bytes = 0;
  if (const GgmlType* type = find_ggml_type(number); type != nullptr) {
    info.tensor.dtype = type->dtype;
    info.tensor.type_name = type->name;
    block_values = type->block_values;
    block_bytes = type->block_bytes;
  } else {
    const auto other = std::find_if(kOtherTypes.begin(), kOtherTypes.end(),
                                    [&](const OtherType& t) { return t.number == number; });
    if (other == kOtherTypes.end()) {
      return cursor.corrupt("type", std::to_string(number), "a type of ggml, 0 to 42");
    }
    if (other->block_values == 0) {
      return cursor.refuse("type", std::string(other->name) + ", which ggml has removed", "a current type");
    }
    info.tensor.type_name = other->name;
    block_values = other->block_values;
    block_bytes = other->block_bytes;
  }
  if (info.tensor.shape.back() % block_values != 0) {
    return cursor.corrupt("shape", "rows of " + std::to_string(info.tensor.shape.back()),
                          "a multiple of " + std::to_string(block_values) + " for " + info.tensor.type_name);
  }
  std::uint64_t values = 1;
  for (const std::uint64_t n : info.tensor.shape) {
    const auto product = base::checked_mul(values, n);
    if (!product) return cursor.corrupt("shape", "more than 2^64 values", "a tensor inside the file");
    values = *product;
  }
  const auto bytes = base::checked_mul(values / block_values, block_bytes);
  if (!bytes) return cursor.corrupt("shape", "more than 2^64 bytes", "a tensor inside the file");
  info.bytes = *bytes;
  return {};
}

Result<TensorInfo> read_tensor_info(GgufCursor& cursor, std::uint64_t index, std::uint64_t alignment) {
  TensorInfo out;
  cursor.enter("tensor " + std::to_string(index));
  KAKEYA_ASSIGN(const std::string_view name, cursor.string("name", kMaxNameBytes));
  if (name.empty()) return cursor.corrupt("name", "an empty string", "a name");
  out.tensor.name = name;
  cursor.enter("tensor \"" + printable(name) + "\"");
  KAKEYA_ASSIGN(const auto rank, cursor.number<std::uint32_t>("number of dimensions"));
  if (rank < 1 || rank > kMaxRank) {
    return cursor.corrupt("number of dimensions", std::to_string(rank), "1 to " + std::to_string(kMaxRank));
  }
  for (std::uint32_t i = 0; i < rank; ++i) {
    KAKEYA_ASSIGN(const auto n, cursor.number<std::uint64_t>("shape"));
    if (n == 0) return cursor.corrupt("shape", "0", "1 or more");
    out.tensor.shape.push_back(n);
  }
  std::reverse(out.tensor.shape.begin(), out.tensor.shape.end());
  KAKEYA_ASSIGN(const auto type, cursor.number<std::uint32_t>("type"));
  KAKEYA_TRY(apply_type(cursor, type, out));
  KAKEYA_ASSIGN(out.offset, cursor.number<std::uint64_t>("offset"));
  if (out.offset % alignment != 0) {
    return cursor.corrupt("offset", std::to_string(out.offset),
                          "a multiple of the alignment " + std::to_string(alignment));
  }
  return out;
}

// Inside the data and without overlap; then the views.
Status place_tensors(GgufCursor& cursor, std::span<const std::byte> data, std::vector<TensorInfo>& infos) {
  std::vector<const TensorInfo*> order;
  order.reserve(infos.size());
  for (TensorInfo& info : infos) {
    const auto end = base::checked_add(info.offset, info.bytes);
    if (!end || *end > data.size()) {
      cursor.enter("tensor \"" + printable(info.tensor.name) + "\"");
      return cursor.corrupt("offset",
                            std::to_string(info.offset) + " with " + std::to_string(info.bytes) + " bytes",
                            "a range inside the " + std::to_string(data.size()) + " data bytes of the file");
    }
    info.tensor.bytes = data.subspan(info.offset, info.bytes);
    order.push_back(&info);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TensorInfo &before = *order[i - 1], &after = *order[i];
    if (before.offset + before.bytes > after.offset) {
      cursor.enter("tensor \"" + printable(after.tensor.name) + "\"");
      return cursor.corrupt("offset",
                            std::to_string(after.offset) + " inside \"" + printable(before.tensor.name) +
                                "\", which ends at " + std::to_string(before.offset + before.bytes),
                            "tensors that do not overlap");
    }
  }
  return {};
}

Result<std::uint32_t> read_version(GgufCursor& cursor) {
  KAKEYA_ASSIGN(const auto magic, cursor.number<std::uint32_t>("magic"));
  if (magic != kGgufMagic) return cursor.corrupt("magic", std::to_string(magic), "the letters GGUF");
  KAKEYA_ASSIGN(const auto version, cursor.number<std::uint32_t>("version"));
  if (version != 0 && (version & 0xffff) == 0) {
    return cursor.refuse("version", "a big-endian file", "a little-endian one");
  }
  if (version == 1) return cursor.refuse("version", "1", "2 or 3");
  if (version != 2 && version != 3) return cursor.corrupt("version", std::to_string(version), "2 or 3");
  return version;
}

}  // namespace

const GgufMeta* GgufFile::find(std::string_view key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::tensor(std::string_view wanted) const {
  for (const GgufTensor& tensor : tensors) {
    if (tensor.name == wanted) return &tensor;
  }
  return nullptr;
}

Result<GgufFile> parse_gguf(const std::string& name, std::span<const std::byte> file) {
  GgufFile out;
  out.name = name;
  GgufCursor cursor(name, file);
  KAKEYA_ASSIGN(out.version, read_version(cursor));
  KAKEYA_ASSIGN(const auto tensor_count, cursor.number<std::uint64_t>("number of tensors"));
  KAKEYA_ASSIGN(const auto metadata_count, cursor.number<std::uint64_t>("number of metadata values"));
  if (tensor_count > kMaxTensors) {
    return cursor.corrupt("number of tensors", std::to_string(tensor_count),
                          "at most " + std::to_string(kMaxTensors));
  }
  if (metadata_count > kMaxMetadata) {
    return cursor.corrupt("number of metadata values", std::to_string(metadata_count),
                          "at most " + std::to_string(kMaxMetadata));
  }
  KAKEYA_TRY(read_metadata(cursor, file, metadata_count, out));
  KAKEYA_TRY(apply_alignment(cursor, out));
  KAKEYA_ASSIGN(out.split, read_split(out));
  std::vector<TensorInfo> infos;
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    KAKEYA_ASSIGN(TensorInfo info, read_tensor_info(cursor, i, out.alignment));
    if (!names.insert(info.tensor.name).second) return cursor.corrupt("name", "it twice", "every name once");
    infos.push_back(std::move(info));
  }
  // The data begin at the next multiple of the alignment, if there are any.
  const std::uint64_t past = cursor.position() % out.alignment;
  const std::uint64_t padding = past == 0 ? 0 : out.alignment - past;
  const std::uint64_t start = std::min<std::uint64_t>(cursor.position() + padding, file.size());
  KAKEYA_TRY(place_tensors(cursor, file.subspan(start), infos));
  out.tensors.reserve(infos.size());
  for (TensorInfo& info : infos) out.tensors.push_back(std::move(info.tensor));
  return out;
}

}  // namespace kakeya::formats
