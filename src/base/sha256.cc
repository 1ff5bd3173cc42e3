#include "base/sha256.h"

#include <openssl/evp.h>

#include <memory>

#include "base/check.h"
#include "base/mapped_file.h"

namespace kakeya::base {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    KAKEYA_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::span<const std::byte> bytes) {
    KAKEYA_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string hex() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    KAKEYA_CHECK(EVP_DigestFinal_ex(context_.get(), raw, &size) == 1);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (unsigned int i = 0; i < size; ++i) {
      out += kDigits[raw[i] >> 4];
      out += kDigits[raw[i] & 15];
    }
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_hex(std::span<const std::span<const std::byte>> pieces) {
  Digest digest;
  for (const auto piece : pieces) digest.update(piece);
  return digest.hex();
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  return sha256_hex(std::span<const std::span<const std::byte>>(&bytes, 1));
}

std::string sha256_hex(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

Result<std::string> sha256_files(const std::vector<std::string>& paths) {
  Digest digest;
  for (const std::string& path : paths) {
    KAKEYA_ASSIGN(const MappedFile file, MappedFile::open(path));
    digest.update(file.bytes());
  }
  return digest.hex();
}

}  // namespace kakeya::base
