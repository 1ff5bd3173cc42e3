// Whole gzip files into memory, with a cap on what comes out.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace kakeya::formats {

bool is_gzip(std::string_view bytes);
// Errors: kCorruptData (damaged, cut, or larger than max_bytes when unpacked).
Result<std::string> gunzip(const std::string& name, std::string_view bytes, std::uint64_t max_bytes);

}  // namespace kakeya::formats
