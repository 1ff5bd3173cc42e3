// Any bytes through a Qwen-like tokenizer and back.
#include <memory>

#include "fuzz.h"
#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using kakeya::Token;
using namespace kakeya::text;

std::unique_ptr<Tokenizer> make(bool nfc, bool llama) {
  kakeya::formats::TokenizerFile file;
  for (int b = 0; b < 256; ++b) file.vocab.emplace_back(byte_character(static_cast<std::uint8_t>(b)));
  const auto merge = [&](const std::string& left, const std::string& right) {
    file.merges.emplace_back(to_alphabet(left), to_alphabet(right));
    file.vocab.push_back(to_alphabet(left + right));
  };
  for (const char* pair : {"th", "he", "in", "  ", "\n\n", "aa", "\xc3\xa9", "12"}) {
    merge(std::string(1, pair[0]), std::string(1, pair[1]));
  }
  merge("aa", "aa");
  merge(" ", "th");
  merge("aaaa", "aaaa");
  file.nfc = nfc;
  file.ignore_merges = llama;
  const std::string digits = llama ? R"(\p{N}{1,3})" : R"(\p{N})";
  file.split_regexes = {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + digits +
                        R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
  kakeya::formats::AddedToken token;
  token.id = 300;
  token.content = "<|im_end|>";
  token.special = true;
  file.added.push_back(token);
  auto made = Tokenizer::create(std::move(file));
  FUZZ_CHECK(made.ok());
  return std::move(made).value();
}

std::string replaced(std::string_view bytes) {
  std::string out;
  for (Utf8Step step = next_utf8(bytes); step.length > 0; step = next_utf8(bytes)) {
    out += step.valid ? bytes.substr(0, step.length) : kReplacement;
    bytes.remove_prefix(step.length);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto plain = make(false, true);
  static const auto normal = make(true, false);
  const std::string_view text = as_text(data, size);
  for (const bool parse_special : {true, false}) {
    const auto ids = plain->encode(text, parse_special);
    FUZZ_CHECK(ids.ok());
    FUZZ_CHECK(plain->decode(*ids, false) == text);
    StreamDecoder decoder(*plain, false);
    std::string stream;
    for (const Token id : *ids) {
      const std::string piece = decoder.push(id);
      FUZZ_CHECK(valid_utf8_prefix(piece) == piece.size());
      stream += piece;
    }
    FUZZ_CHECK(stream + decoder.finish() == replaced(text));
  }
  if (valid_utf8_prefix(text) == text.size()) {
    const std::string once = normalize_nfc(text);
    FUZZ_CHECK(normalize_nfc(once) == once);
  }
  FUZZ_CHECK(normal->encode(text, true).ok());
  return 0;
}
