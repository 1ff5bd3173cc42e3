// Small questions about files on disk, for the store.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "hub/manifest.h"

namespace kakeya::hub {

// Names of the directories in `directory`, sorted; none when it does not exist. Errors: kIo.
Result<std::vector<std::string>> directories_in(const std::string& directory);

// Bytes of the regular files below `directory`; what cannot be read counts nothing.
std::uint64_t bytes_below(const std::string& directory);

// The variant, the quantisation in the name of the only GGUF file, or what config.json says ("bfloat16",
// "4 bits"); empty when nothing says it.
std::string weight_type(const Manifest& manifest, const std::string& files_directory);

// The entry of a directory is on the disk after it. Errors: kIo.
Status sync_directory(const std::string& directory);

}  // namespace kakeya::hub
