// The normalizer, pre_tokenizer, post_processor and decoder sections of tokenizer.json. Accepts what
// byte-level BPE models use and refuses the rest by name, because a skipped step gives wrong ids silently.
#pragma once
#include "formats/config_reader.h"
#include "formats/tokenizer_file.h"

namespace kakeya::formats {

// Sets nfc, split_regexes, add_prefix_space, add_bos_token and bos_token.
Status read_pipeline(const ConfigReader& top, TokenizerFile& out);

}  // namespace kakeya::formats
