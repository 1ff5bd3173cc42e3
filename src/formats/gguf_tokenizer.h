// The tokenizer in a GGUF file's metadata as the same plain data that tokenizer.json gives.
#pragma once
#include "formats/gguf.h"
#include "formats/tokenizer_file.h"

namespace kakeya::formats {

// Errors: kNotFound (a file without tokenizer), kCorruptData, kUnsupported (not byte-level BPE, an unknown
// pre-tokenizer), with file and key.
Result<TokenizerFile> gguf_tokenizer(const GgufFile& file);

}  // namespace kakeya::formats
