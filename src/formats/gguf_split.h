// Models that llama.cpp's gguf-split cut into several GGUF files. For gguf.cc; others call open_gguf.
#pragma once
#include <kakeya/result.h>

#include <optional>

#include "formats/gguf.h"

namespace kakeya::formats {

// The split.* keys of a file; nothing when it is whole. Errors: kCorruptData with file and key.
Result<std::optional<GgufSplit>> read_split(const GgufFile& file);

}  // namespace kakeya::formats
