// tokenizer.json and tokenizer_config.json as plain data; text/ builds the tokenizer from it.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace kakeya::formats {

// What a file of either kind may hold.
inline constexpr std::size_t kMaxId = std::size_t{1} << 22;
inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr std::size_t kMaxAddedTokens = 65536;
inline constexpr std::size_t kMaxAddedTokenBytes = 512;

struct AddedToken {
  Token id = 0;
  std::string content;
  bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
};

struct TokenizerFile {
  std::vector<std::string> vocab;  // id -> token in the byte-level alphabet; "" where the file has a gap
  std::vector<std::pair<std::string, std::string>> merges;  // in rank order
  std::vector<AddedToken> added;
  std::vector<std::string> split_regexes;  // Split pre-tokenizers, in order
  bool nfc = false;
  bool add_prefix_space = false;
  bool ignore_merges = false;        // Llama-3: whole pieces found in the vocabulary skip merging
  std::string chat_template;         // "" when there is none
  std::string bos_token, eos_token;  // texts from tokenizer_config.json, "" when null
  bool add_bos_token = false;        // from tokenizer_config.json or a TemplateProcessing post-processor
};

// `path` is a directory, a tokenizer.json, a tokenizer.json.gz or a GGUF file (its metadata). Errors:
// kNotFound, kCorruptData, kUnsupported (a model that is not byte-level BPE, an unknown pre-tokenizer), with
// file and key.
Result<TokenizerFile> load_tokenizer_file(const std::string& path);
Result<TokenizerFile> parse_tokenizer_file(const std::string& name, const std::string& json_text);

}  // namespace kakeya::formats
