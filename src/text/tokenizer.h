// Text <-> ids: NFC, added tokens, split regex, byte-level BPE. Built once, immutable, thread-safe.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_file.h"
#include "text/prompt_text.h"

namespace kakeya::text {

class Tokenizer {
 public:
  // Errors: kCorruptData, kUnsupported (a regex that PCRE2 refuses, merges outside the vocabulary).
  static Result<std::unique_ptr<Tokenizer>> create(formats::TokenizerFile file);
  virtual ~Tokenizer() = default;

  // parse_special: added tokens in the text become their ids; otherwise they are ordinary text, except
  // non-special added tokens, as Hugging Face does. No BOS is added. Invalid UTF-8 is kept as bytes.
  // Errors: kInvalidArgument when the text is larger than 64 MiB.
  virtual Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const = 0;
  // Special tokens of the template become their ids; those spelled inside given text are ordinary text, as
  // with parse_special = false. Equal to encode(prompt.text(), true) when given text spells none.
  virtual Result<std::vector<Token>> encode(const PromptText& prompt) const = 0;
  // Bytes of the ids; unknown ids give nothing. May end inside a UTF-8 sequence: see StreamDecoder.
  virtual std::string decode(std::span<const Token> ids, bool skip_special) const = 0;

  virtual std::size_t vocab_size() const = 0;                                 // highest id + 1
  virtual std::optional<Token> token_id(std::string_view content) const = 0;  // vocabulary or added token
  virtual bool is_special(Token id) const = 0;
  virtual std::optional<Token> bos() const = 0;  // to prepend, when the files ask for it
  virtual const formats::TokenizerFile& file() const = 0;
};

// Turns ids into text piece by piece; a piece never ends inside a UTF-8 sequence.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}
  std::string push(Token id);
  // What is left: incomplete bytes become U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;  // outlives the decoder
  bool skip_special_;
  std::string pending_;
};

}  // namespace kakeya::text
