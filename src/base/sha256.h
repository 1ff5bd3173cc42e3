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

// Digest of several files read in the given order, as if concatenated. Errors: kNotFound, kIo.
Result<std::string> sha256_files(const std::vector<std::string>& paths);

}  // namespace kakeya::base
