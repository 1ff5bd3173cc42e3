// SHA-256 through OpenSSL, as lower-case hex.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::base {

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view text);
// Of several pieces, as if concatenated.
std::string sha256_hex(std::span<const std::span<const std::byte>> pieces);

// Digest of several files read in the given order, as if concatenated. Errors: kNotFound, kIo.
Result<std::string> sha256_files(const std::vector<std::string>& paths);

}  // namespace kakeya::base
