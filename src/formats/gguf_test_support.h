// GGUF files written byte by byte, right or wrong as a test wants them; not through GgufWriter, so that
// reader and writer cannot share a mistake.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::formats {

class GgufBytes {
 public:
  template <class T>
  static std::string raw(T value) {
    std::string out(sizeof value, '\0');
    std::memcpy(out.data(), &value, sizeof value);
    return out;
  }
  static std::string text(std::string_view s) { return raw<std::uint64_t>(s.size()) + std::string(s); }

  // One metadata entry; `value` without its type.
  GgufBytes& meta(const std::string& key, std::uint32_t type, const std::string& value) {
    metadata_ += text(key) + raw(type) + value;
    ++metadata_count;
    return *this;
  }
  GgufBytes& u32(const std::string& key, std::uint32_t v) { return meta(key, 4, raw(v)); }
  GgufBytes& f32(const std::string& key, float v) { return meta(key, 6, raw(v)); }
  GgufBytes& boolean(const std::string& key, bool v) { return meta(key, 7, raw<std::uint8_t>(v)); }
  GgufBytes& string(const std::string& key, const std::string& v) { return meta(key, 8, text(v)); }
  GgufBytes& strings(const std::string& key, const std::vector<std::string>& items) {
    std::string value = raw<std::uint32_t>(8) + raw<std::uint64_t>(items.size());
    for (const std::string& item : items) value += text(item);
    return meta(key, 9, value);
  }
  template <class T>
  GgufBytes& list(const std::string& key, std::uint32_t element, const std::vector<T>& items) {
    std::string value = raw(element) + raw<std::uint64_t>(items.size());
    for (const T item : items) value += raw(item);
    return meta(key, 9, value);
  }
  // `dims` in the order of the file: the contiguous one first.
  GgufBytes& tensor(const std::string& name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                    std::uint64_t offset, std::uint64_t bytes) {
    infos_ += text(name) + raw<std::uint32_t>(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t n : dims) infos_ += raw(n);
    infos_ += raw(type) + raw(offset);
    ++tensor_count;
    data_bytes = std::max<std::uint64_t>(data_bytes, offset + bytes);
    return *this;
  }
  // The next tensor behind the last one.
  GgufBytes& next_tensor(const std::string& name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                         std::uint64_t bytes) {
    return tensor(name, dims, type, (data_bytes + 31) / 32 * 32, bytes);
  }

  std::string build(std::uint64_t alignment = 32) const {
    std::string out = magic + raw(version) + raw(tensor_count) + raw(metadata_count) + metadata_ + infos_;
    if (tensor_count > 0) out.resize((out.size() + alignment - 1) / alignment * alignment);
    const std::size_t start = out.size();
    out.resize(start + data_bytes);
    if (!data.empty())
      std::memcpy(out.data() + start, data.data(), std::min(data.size(), out.size() - start));
    return out;
  }

  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0, metadata_count = 0, data_bytes = 0;
  std::string data;  // the first bytes of the tensors; zeros behind it

 private:
  std::string metadata_, infos_;
};

inline std::span<const std::byte> as_span(const std::string& bytes) {
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}

// The keys of a small model; tensors are the caller's.
inline GgufBytes small_model(const std::string& arch, std::uint32_t layers = 2) {
  GgufBytes out;
  out.string("general.architecture", arch)
      .u32(arch + ".block_count", layers)
      .u32(arch + ".context_length", 4096)
      .u32(arch + ".embedding_length", 64)
      .u32(arch + ".feed_forward_length", 128)
      .u32(arch + ".attention.head_count", 4)
      .u32(arch + ".attention.head_count_kv", 2)
      .u32(arch + ".attention.key_length", 32)
      .f32(arch + ".attention.layer_norm_rms_epsilon", 1e-6f);
  return out;
}

}  // namespace kakeya::formats
