// What GGUF calls the things that Hugging Face directories hold: tensors, element types, splitting rules. One
// table for the reader and the writer; no input or output here.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/safetensors.h"

namespace kakeya::formats {

inline constexpr std::uint32_t kGgufMagic = 0x46554747;  // "GGUF" read as little-endian
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint64_t kGgufAlignment = 32;  // unless general.alignment says otherwise

// Types of metadata values, numbered as in the file.
enum class GgufValue : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// tokenizer.ggml.token_type
enum class GgufTokenType : std::int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// ggml's number of an element type and the size of its blocks.
struct GgmlType {
  std::uint32_t number;
  Dtype dtype;
  const char* name;  // as ggml spells it
  std::size_t block_values, block_bytes;
};
// The types that can be computed with.
std::span<const GgmlType> ggml_types();
const GgmlType* find_ggml_type(std::uint32_t number);  // null when unknown
const GgmlType* find_ggml_type(Dtype dtype);           // null for kU32 and kOther

// "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight", with or without "model.", drafts included.
std::optional<std::string> gguf_tensor_name(std::string_view hugging_face);
// The other way, always with "model." but for lm_head and the two draft tensors outside the layers. nullopt
// for names that have no counterpart ("rope_freqs.weight").
std::optional<std::string> hugging_face_tensor_name(std::string_view gguf);

// tokenizer.ggml.pre by the regex of the Split step.
struct GgufPreTokenizer {
  const char* name;
  const char* regex;
  bool nfc, ignore_merges;
};
std::span<const GgufPreTokenizer> gguf_pre_tokenizers();

}  // namespace kakeya::formats
