// A digest over bytes that arrive in pieces.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace kakeya::base {

enum class DigestKind {
  kSha256,
  kSha1,  // git's object ids; no protection against forgers
};

class Digest {
 public:
  explicit Digest(DigestKind kind);
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();

  void update(std::span<const std::byte> bytes);
  // Lower-case hex of everything so far; the digest takes no more bytes after it.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kakeya::base
