// Whole-file reads with a size cap and atomic whole-file writes.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace kakeya::base {

// The file's bytes. Errors: kNotFound, kIo, kCorruptData when it is larger than max_bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

// Writes beside `path`, syncs, then renames: a reader sees the old file or the new one, never a part.
// On any error (disk full included) the old file is untouched and the temporary one is removed.
Status write_file_atomic(const std::string& path, std::string_view content);

}  // namespace kakeya::base
