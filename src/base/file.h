// Whole-file reads with a size cap and atomic whole-file writes.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kakeya::base {

// The bytes of a regular file; a pipe or device is refused without waiting. Errors: kNotFound, kIo,
// kCorruptData when it is larger than max_bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

// Writes beside `path`, syncs, then renames: a reader sees the old file or the new one, never a part.
// On any error (disk full included) the old file is untouched and the temporary one is removed.
Status write_file_atomic(const std::string& path, std::string_view content);
// The same of pieces that follow one another; only the file's owner may read it.
Status write_private_file_atomic(const std::string& path, std::span<const std::span<const std::byte>> pieces);

}  // namespace kakeya::base
