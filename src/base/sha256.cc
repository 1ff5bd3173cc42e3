#include "base/sha256.h"

#include "base/digest.h"
#include "base/mapped_file.h"

namespace kakeya::base {

std::string sha256_hex(std::span<const std::byte> bytes) {
  Digest digest(DigestKind::kSha256);
  digest.update(bytes);
  return digest.hex();
}

std::string sha256_hex(std::span<const std::span<const std::byte>> pieces) {
  Digest digest(DigestKind::kSha256);
  for (const auto piece : pieces) digest.update(piece);
  return digest.hex();
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

Result<std::string> sha256_files(const std::vector<std::string>& paths) {
  Digest digest(DigestKind::kSha256);
  for (const std::string& path : paths) {
    KAKEYA_ASSIGN(const MappedFile file, MappedFile::open(path));
    digest.update(file.bytes());
  }
  return digest.hex();
}

}  // namespace kakeya::base
