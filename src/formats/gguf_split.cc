#include "formats/gguf_split.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

#include "base/split_name.h"
#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

constexpr std::uint64_t kMaxParts = 4096;
constexpr std::uint64_t kMaxTensors = 65536;
constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

std::string plain_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

Error corrupt(const std::string& file, const std::string& key, const std::string& found,
              const std::string& expected) {
  return corrupt_data("read " + file + ": metadata \"" + key + "\": found " + found + ", expected " +
                      expected);
}

// gguf-split writes u16 and i32; any kind of whole number is taken.
Result<std::uint64_t> whole_number(const GgufFile& file, const char* key, std::uint64_t most) {
  const GgufMeta* value = file.find(key);
  if (value == nullptr) return corrupt(file.name, key, "nothing", "a whole number, as in every part");
  const auto number = integer_of(*value);
  if (!number) return corrupt(file.name, key, describe(*value), "a whole number");
  if (*number < 0 || static_cast<std::uint64_t>(*number) > most) {
    return corrupt(file.name, key, std::to_string(*number), "0 to " + std::to_string(most));
  }
  return static_cast<std::uint64_t>(*number);
}

// The name says which part it is, and the metadata say the same.
Result<base::SplitName> checked_name(const std::string& path, const GgufSplit& split) {
  const auto name = base::parse_split_name(path);
  const std::string expected = std::to_string(split.number + 1) + " of " + std::to_string(split.count);
  if (!name) {
    return corrupt_data("read " + path + ": file name: found " + plain_name(path) + " for part " + expected +
                        ", expected a name ending in " +
                        plain_name(base::SplitName{"x", 1, split.count}.path_of(split.number + 1)).substr(1) +
                        ", as llama-gguf-split gives it: the other parts are found by it");
  }
  if (name->number == split.number + 1 && name->count == split.count) return *name;
  return corrupt_data("read " + path + ": metadata \"" + (name->count == split.count ? kNumber : kCount) +
                      "\": found part " + expected + ", expected part " + std::to_string(name->number) +
                      " of " + std::to_string(name->count) +
                      " as the file's name says; it may have been renamed");
}

Error missing_part(const base::SplitName& name, std::uint32_t part, const std::string& named) {
  return not_found("read " + name.path_of(part) + ": found no such file, expected part " +
                   std::to_string(part) + " of " + std::to_string(name.count) + " beside " +
                   plain_name(named) + "; fetch it too: kakeya-llm pull gets all parts");
}

struct Part {
  base::MappedFile mapping;
  GgufFile file;
};

Result<Part> open_part(const std::string& path) {
  KAKEYA_ASSIGN(base::MappedFile mapping, base::MappedFile::open(path));
  KAKEYA_ASSIGN(GgufFile file, parse_gguf(path, mapping.bytes()));
  return Part{std::move(mapping), std::move(file)};
}

Status check_numbers(const GgufFile& part, const GgufSplit& first, const std::string& first_name) {
  const GgufSplit& split = *part.split;
  const std::string as_first = " as in " + plain_name(first_name);
  if (split.count != first.count) {
    return corrupt(part.name, kCount, std::to_string(split.count), std::to_string(first.count) + as_first);
  }
  if (split.tensors != first.tensors) {
    return corrupt(part.name, kTensors, std::to_string(split.tensors),
                   std::to_string(first.tensors) + as_first + "; it is a part of another model");
  }
  return {};
}

// The parts before it are `whole`, and `names` those of their tensors.
Status append_part(GgufFile part, const GgufSplit& first, GgufFile& whole, std::set<std::string>& names) {
  const std::string& first_name = whole.parts.front();
  KAKEYA_TRY(check_numbers(part, first, first_name));
  // gguf-split leaves everything but split.* to the first part; what another part says too must be the same.
  for (const auto& [key, value] : part.metadata) {
    if (key.starts_with("split.") || key == "general.alignment") continue;
    const GgufMeta* same = whole.find(key);
    if (same == nullptr || same->type != value.type || same->element != value.element ||
        !std::ranges::equal(same->bytes, value.bytes)) {
      return corrupt(
          part.name, printable(key),
          value.type == GgufValue::kString ? '"' + printable(text_of(value)) + '"' : describe(value),
          (same == nullptr ? "nothing" : "the value of " + plain_name(first_name)) +
              std::string("; it is a part of another model"));
    }
  }
  for (GgufTensor& tensor : part.tensors) {
    if (!names.insert(tensor.name).second) {
      return corrupt_data("read " + part.name + ": tensor \"" + printable(tensor.name) + "\": found it in " +
                          plain_name(whole.file_of(*whole.tensor(tensor.name))) +
                          " too, expected it in one part");
    }
    tensor.part = whole.parts.size();
  }
  whole.parts.push_back(part.name);
  whole.tensors.insert(whole.tensors.end(), std::make_move_iterator(part.tensors.begin()),
                       std::make_move_iterator(part.tensors.end()));
  return {};
}

}  // namespace

Result<std::optional<GgufSplit>> read_split(const GgufFile& file) {
  const auto name = base::parse_split_name(file.name);
  if (file.find(kCount) == nullptr) {
    if (!name || name->count == 1) return std::optional<GgufSplit>();
    return corrupt(
        file.name, kCount, "nothing",
        std::to_string(name->count) + " as the file's name says; rename the file if it is a whole model");
  }
  KAKEYA_ASSIGN(const std::uint64_t count, whole_number(file, kCount, kMaxParts));
  if (count <= 1) return std::optional<GgufSplit>();
  KAKEYA_ASSIGN(const std::uint64_t number, whole_number(file, kNumber, count - 1));
  KAKEYA_ASSIGN(const std::uint64_t tensors, whole_number(file, kTensors, kMaxTensors));
  return std::optional(
      GgufSplit{static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(count), tensors});
}

std::string first_part_of(const std::string& path) {
  const auto name = base::parse_split_name(path);
  return name ? name->path_of(1) : path;
}

Result<MappedGguf> open_gguf(const std::string& path) {
  KAKEYA_ASSIGN(Part named, open_part(path));
  MappedGguf out;
  if (!named.file.split) {
    out.mappings.push_back(std::move(named.mapping));
    out.file = std::move(named.file);
    return out;
  }
  KAKEYA_ASSIGN(const base::SplitName name, checked_name(path, *named.file.split));
  GgufSplit first;
  std::set<std::string> names;
  for (std::uint32_t number = 1; number <= name.count; ++number) {
    const std::string part_path = name.path_of(number);
    auto part = open_part(part_path);
    if (!part.ok()) {
      if (part.error().code == ErrorCode::kNotFound) return missing_part(name, number, path);
      return part.error();
    }
    if (!part->file.split) {
      return corrupt(part_path, kCount, "a whole model",
                     std::to_string(name.count) + " parts as " + plain_name(path) + " says");
    }
    KAKEYA_TRY(checked_name(part_path, *part->file.split));
    out.mappings.push_back(std::move(part->mapping));
    if (number == 1) {
      out.file = std::move(part->file);
      first = *out.file.split;
      out.file.split.reset();
      out.file.parts = {out.file.name};
      for (const GgufTensor& tensor : out.file.tensors) names.insert(tensor.name);
    } else {
      KAKEYA_TRY(append_part(std::move(part->file), first, out.file, names));
    }
  }
  if (out.file.tensors.size() == first.tensors) return out;
  return corrupt(out.file.name, kTensors, std::to_string(first.tensors),
                 std::to_string(out.file.tensors.size()) + ", the tensors of all " +
                     std::to_string(name.count) + " parts; one of them is of another model");
}

}  // namespace kakeya::formats
