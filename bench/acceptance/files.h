// Digests and all-or-nothing writes of result files. Not a general file library: whole small files only.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace kakeya::acceptance {

// SHA-256 as lower-case hex.
std::string sha256_text(std::string_view bytes);

struct OutputFile {
  std::string path;
  std::string content;
};

// All or nothing: every file is written beside its place and synced before the first one is renamed, so a
// full disk leaves the directory as it was. A device or a pipe among them is written to, never replaced.
// Errors: kIo naming the file.
Status write_files(const std::vector<OutputFile>& files);

// The file's bytes. Errors: kNotFound, kIo, kCorruptData when it is larger than max_bytes.
Result<std::string> read_whole_file(const std::string& path, std::size_t max_bytes);
// The same of what may only be a regular file: a pipe's open would wait for a writer. Errors: also kIo,
// naming what was found instead.
Result<std::string> read_regular_file(const std::string& path, std::size_t max_bytes);

// Invalid UTF-8 replaced by U+FFFD, so that the text can be stored as JSON.
std::string to_valid_utf8(std::string_view text);

}  // namespace kakeya::acceptance
