#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "base/checked_math.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "formats/json_text.h"
#include "formats/safetensors_header.h"

namespace kakeya::formats {
namespace {

constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{64} << 20;
constexpr std::size_t kMaxShards = 4096;
constexpr std::size_t kMaxTensorsTotal = 262144;

struct DtypeRow {
  const char* name;
  std::uint64_t bits;
  Dtype dtype;
};
// Every dtype of the format; those we cannot compute with are kOther and stay readable as bytes.
constexpr std::array<DtypeRow, 20> kDtypes = {{
    {"F32", 32, Dtype::kF32},      {"F16", 16, Dtype::kF16},      {"BF16", 16, Dtype::kBf16},
    {"F64", 64, Dtype::kOther},    {"I64", 64, Dtype::kOther},    {"U64", 64, Dtype::kOther},
    {"I32", 32, Dtype::kOther},    {"U32", 32, Dtype::kU32},      {"I16", 16, Dtype::kOther},
    {"U16", 16, Dtype::kOther},    {"I8", 8, Dtype::kOther},      {"U8", 8, Dtype::kOther},
    {"BOOL", 8, Dtype::kOther},    {"F8_E4M3", 8, Dtype::kOther}, {"F8_E5M2", 8, Dtype::kOther},
    {"F8_E8M0", 8, Dtype::kOther}, {"F6_E2M3", 6, Dtype::kOther}, {"F6_E3M2", 6, Dtype::kOther},
    {"F4", 4, Dtype::kOther},      {"C64", 64, Dtype::kOther},
}};

const DtypeRow* find_dtype(const std::string& name) {
  for (const DtypeRow& row : kDtypes) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

// Bytes that dtype and shape ask for.
Result<std::uint64_t> tensor_bytes(const std::string& where, const HeaderEntry& entry,
                                   const DtypeRow& dtype) {
  std::uint64_t bits = dtype.bits;
  // A zero anywhere makes the tensor empty, whatever the other factors would overflow to.
  const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0u) != entry.shape.end();
  if (empty) return std::uint64_t{0};
  for (const std::uint64_t n : entry.shape) {
    const auto product = base::checked_mul(bits, n);
    if (!product) {
      return corrupt_data(where + ": shape " + shape_text(entry.shape) +
                          " overflows, expected a size below 2^64 bits");
    }
    bits = *product;
  }
  if (bits % 8 != 0) {
    return corrupt_data(where + ": " + std::to_string(bits) + " bits of " + entry.dtype +
                        ", expected a whole number of bytes");
  }
  return bits / 8;
}

// Offsets inside the data, in one run without overlap or gap.
Status check_layout(const std::string& name, const std::vector<HeaderEntry>& entries,
                    std::uint64_t data_bytes) {
  std::vector<const HeaderEntry*> order;
  order.reserve(entries.size());
  for (const HeaderEntry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const HeaderEntry* a, const HeaderEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t reached = 0;
  for (const HeaderEntry* entry : order) {
    const std::string where = "read " + name + ": tensor \"" + printable(entry->name) + "\"";
    if (entry->end < entry->begin || entry->end > data_bytes) {
      return corrupt_data(where + ": data_offsets [" + std::to_string(entry->begin) + ", " +
                          std::to_string(entry->end) + "], expected a range inside the " +
                          std::to_string(data_bytes) + " data bytes of the file");
    }
    if (entry->begin != reached) {
      return corrupt_data(where + ": begins at " + std::to_string(entry->begin) + ", expected " +
                          std::to_string(reached) + (entry->begin < reached ? " (overlap)" : " (gap)"));
    }
    reached = entry->end;
  }
  if (reached != data_bytes) {
    return corrupt_data("read " + name + ": tensors end at " + std::to_string(reached) + ", expected " +
                        std::to_string(data_bytes) + " data bytes (gap at the end)");
  }
  return {};
}

bool safe_shard_name(const std::string& shard) {
  constexpr std::string_view kSuffix = ".safetensors";
  return shard.size() > kSuffix.size() && shard.size() <= 255 && shard.ends_with(kSuffix) &&
         shard.front() != '.' && std::all_of(shard.begin(), shard.end(), [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && c != '/' && c != '\\' && c != ':' && c != 0x7f;
         });
}

// weight_map of an index file: tensor -> shard.
Result<std::map<std::string, std::string>> read_index(const std::string& path) {
  KAKEYA_ASSIGN(const std::string text, base::read_file(path, kMaxIndexBytes));
  KAKEYA_ASSIGN(const nlohmann::json root, parse_json(path, text));
  const auto found = root.is_object() ? root.find("weight_map") : root.end();
  if (!root.is_object() || found == root.end() || !found->is_object() || found->empty()) {
    return corrupt_data("read " + path +
                        ": key \"weight_map\": expected an object of tensor names and file names");
  }
  std::map<std::string, std::string> out;
  for (const auto& [tensor, shard] : found->items()) {
    const std::string where = "read " + path + ": weight_map \"" + printable(tensor) + "\": ";
    if (!shard.is_string())
      return corrupt_data(where + "found " + describe(shard) + ", expected a file name");
    const auto& file = shard.get_ref<const std::string&>();
    if (!safe_shard_name(file)) {
      return corrupt_data(where + "found \"" + printable(file) +
                          "\", expected a plain .safetensors file name in the same directory");
    }
    out.emplace(tensor, file);
  }
  return out;
}

}  // namespace

const char* to_string(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return "F32";
    case Dtype::kF16:
      return "F16";
    case Dtype::kBf16:
      return "BF16";
    case Dtype::kU32:
      return "U32";
    case Dtype::kQ8_0:
      return "Q8_0";
    case Dtype::kQ4_0:
      return "Q4_0";
    case Dtype::kQ4K:
      return "Q4_K";
    case Dtype::kQ5K:
      return "Q5_K";
    case Dtype::kQ6K:
      return "Q6_K";
    case Dtype::kOther:
      break;
  }
  return "other";
}

std::size_t bytes_per_element(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
    case Dtype::kU32:
      return 4;
    case Dtype::kF16:
    case Dtype::kBf16:
      return 2;
    default:
      break;
  }
  return 0;
}

Result<std::map<std::string, TensorView>> parse_safetensors(const std::string& name,
                                                            std::span<const std::byte> file) {
  KAKEYA_ASSIGN(const Header header, read_safetensors_header(name, file));
  const std::span<const std::byte> data = file.subspan(header.data_start);
  KAKEYA_TRY(check_layout(name, header.entries, data.size()));
  std::map<std::string, TensorView> out;
  for (const HeaderEntry& entry : header.entries) {
    const std::string where = "read " + name + ": tensor \"" + printable(entry.name) + "\"";
    const DtypeRow* dtype = find_dtype(entry.dtype);
    if (dtype == nullptr) {
      return corrupt_data(where + ": dtype \"" + printable(entry.dtype) +
                          "\", expected a dtype of the format (F32, F16, BF16, ...)");
    }
    KAKEYA_ASSIGN(const std::uint64_t expected, tensor_bytes(where, entry, *dtype));
    const std::uint64_t found = entry.end - entry.begin;
    if (found != expected) {
      return corrupt_data(where + ": data_offsets hold " + std::to_string(found) + " bytes, expected " +
                          std::to_string(expected) + " for " + entry.dtype + " " + shape_text(entry.shape));
    }
    TensorView view;
    view.dtype = dtype->dtype;
    view.dtype_name = entry.dtype;
    view.shape = entry.shape;
    view.bytes = data.subspan(entry.begin, found);
    if (!out.emplace(entry.name, std::move(view)).second) {
      return corrupt_data(where + ": appears twice, expected unique names");
    }
  }
  return out;
}

Result<TensorStore> TensorStore::open_gguf_file(const std::string& path) {
  KAKEYA_ASSIGN(MappedGguf gguf, open_gguf(path));
  TensorStore store;
  KAKEYA_ASSIGN(store.tensors_, hugging_face_tensors(gguf.file));
  for (base::MappedFile& mapping : gguf.mappings) {
    mapping.read_ahead();
    store.files_.push_back(mapping.path());
    store.mappings_.push_back(std::move(mapping));
  }
  return store;
}

Result<TensorStore> TensorStore::open(const std::string& directory) {
  if (is_gguf_file(directory)) return open_gguf_file(directory);
  const std::string single = directory + "/model.safetensors";
  const std::string index = directory + "/model.safetensors.index.json";
  std::error_code ignored;
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  if (std::filesystem::exists(single, ignored)) {
    shards.insert("model.safetensors");
  } else if (std::filesystem::exists(index, ignored)) {
    KAKEYA_ASSIGN(shard_of, read_index(index));
    for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
    if (shards.size() > kMaxShards) {
      return corrupt_data("read " + index + ": names " + std::to_string(shards.size()) +
                          " files, expected at most " + std::to_string(kMaxShards));
    }
  } else {
    return not_found("open weights in " + directory +
                     ": found neither model.safetensors nor model.safetensors.index.json");
  }

  TensorStore store;
  std::map<std::string, std::string> origin;
  for (const std::string& shard : shards) {
    const std::string path = directory + "/" + shard;
    KAKEYA_ASSIGN(base::MappedFile file, base::MappedFile::open(path));
    KAKEYA_ASSIGN(auto tensors, parse_safetensors(path, file.bytes()));
    for (auto& [tensor, view] : tensors) {
      const auto [known, is_new] = origin.emplace(tensor, shard);
      if (!is_new) {
        return corrupt_data("read " + path + ": tensor \"" + printable(tensor) + "\" is also in " +
                            known->second + ", expected it in one file");
      }
      store.tensors_.emplace(tensor, std::move(view));
    }
    if (store.tensors_.size() > kMaxTensorsTotal) {
      return corrupt_data("read " + directory + ": more than " + std::to_string(kMaxTensorsTotal) +
                          " tensors");
    }
    store.mappings_.push_back(std::move(file));
    store.files_.push_back(path);
  }
  for (const auto& [tensor, shard] : shard_of) {
    const auto found = origin.find(tensor);
    if (found == origin.end() || found->second != shard) {
      return corrupt_data("read " + index + ": tensor \"" + printable(tensor) + "\" should be in " + shard +
                          ", found " + (found == origin.end() ? "nowhere" : "in " + found->second));
    }
  }
  for (const base::MappedFile& mapping : store.mappings_) mapping.read_ahead();
  return store;
}

const TensorView* TensorStore::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void TensorStore::release(std::span<const std::byte> bytes) const {
  for (const base::MappedFile& file : mappings_) {
    const std::span<const std::byte> all = file.bytes();
    if (bytes.data() >= all.data() && bytes.data() + bytes.size() <= all.data() + all.size()) {
      file.release(static_cast<std::size_t>(bytes.data() - all.data()), bytes.size());
    }
  }
}

std::uint64_t TensorStore::total_bytes() const {
  std::uint64_t sum = 0;  // cannot wrap: every view lies in a mapping of this process
  for (const auto& [name, view] : tensors_) sum += view.bytes.size();
  return sum;
}

}  // namespace kakeya::formats
