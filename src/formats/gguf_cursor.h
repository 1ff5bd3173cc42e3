// Reads numbers and strings off the front of a GGUF file, never past its end. For gguf*.cc only.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace kakeya::formats {

class GgufCursor {
 public:
  GgufCursor(const std::string& name, std::span<const std::byte> file) : name_(name), file_(file) {}

  // What is being read, for messages: `metadata "general.name"`.
  void enter(std::string where) { where_ = std::move(where); }
  std::uint64_t position() const { return at_; }
  std::uint64_t left() const { return file_.size() - at_; }

  Result<std::span<const std::byte>> take(const char* field, std::uint64_t n) {
    if (n > left()) {
      return corrupt(field, std::to_string(left()) + " bytes before the end of the file",
                     std::to_string(n) + " bytes at offset " + std::to_string(at_));
    }
    const auto out = file_.subspan(at_, n);
    at_ += n;
    return out;
  }

  template <class T>
  Result<T> number(const char* field) {
    KAKEYA_ASSIGN(const auto bytes, take(field, sizeof(T)));
    T out;
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
  }

  Result<std::string_view> string(const char* field, std::uint64_t max_bytes) {
    KAKEYA_ASSIGN(const std::uint64_t n, number<std::uint64_t>(field));
    if (n > max_bytes || n > left()) {
      return corrupt(field, "a string of " + std::to_string(n) + " bytes",
                     "at most " + std::to_string(n > max_bytes ? max_bytes : left()));
    }
    KAKEYA_ASSIGN(const auto bytes, take(field, n));
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  std::string text(const char* field, const std::string& found, const std::string& expected) const {
    return "read " + name_ + ": " + where_ + (*field != 0 ? ", " : "") + field + ": found " + found +
           ", expected " + expected;
  }
  Error corrupt(const char* field, const std::string& found, const std::string& expected) const {
    return corrupt_data(text(field, found, expected));
  }
  Error refuse(const char* field, const std::string& found, const std::string& expected) const {
    return unsupported(text(field, found, expected));
  }

 private:
  const std::string& name_;
  std::span<const std::byte> file_;
  std::uint64_t at_ = 0;
  std::string where_ = "header";
};

}  // namespace kakeya::formats
