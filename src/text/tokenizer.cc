#include "text/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/split_regex.h"
#include "text/utf8.h"

namespace kakeya::text {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxPieceBytes = std::size_t{16} << 20;  // merging takes some 30 bytes of memory a byte

using Vocabulary = std::unordered_map<std::string_view, Token>;

Result<std::array<Token, 256>> single_bytes(const Vocabulary& vocabulary) {
  std::array<Token, 256> out{};
  for (std::size_t b = 0; b < 256; ++b) {
    const auto found = vocabulary.find(byte_character(static_cast<std::uint8_t>(b)));
    if (found == vocabulary.end()) {
      return corrupt_data("build tokenizer: vocabulary: no token for byte " + std::to_string(b) +
                          ", expected all 256 of the byte-level alphabet");
    }
    out[b] = found->second;
  }
  return out;
}

Result<std::vector<Merge>> resolve_merges(const formats::TokenizerFile& file, const Vocabulary& vocabulary) {
  std::vector<Merge> out;
  out.reserve(file.merges.size());
  for (const auto& [left, right] : file.merges) {
    const auto a = vocabulary.find(left), b = vocabulary.find(right), c = vocabulary.find(left + right);
    if (a == vocabulary.end() || b == vocabulary.end() || c == vocabulary.end()) {
      return corrupt_data("build tokenizer: merge " + std::to_string(out.size()) +
                          ": found a part or result outside the vocabulary, expected all three inside");
    }
    out.push_back({a->second, b->second, c->second});
  }
  return out;
}

bool touches(std::span<const TextSpan> spans, TextSpan part) {
  const auto after =
      std::partition_point(spans.begin(), spans.end(), [&](TextSpan s) { return s.end <= part.begin; });
  return after != spans.end() && after->begin < part.end;
}

class ByteLevelTokenizer : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> create(formats::TokenizerFile file);

  Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const override {
    const TextSpan all = {0, text.size()};
    return encode_spans(text, parse_special ? std::span<const TextSpan>() : std::span(&all, 1));
  }
  Result<std::vector<Token>> encode(const PromptText& prompt) const override {
    return encode_spans(prompt.text(), prompt.given());
  }
  std::string decode(std::span<const Token> ids, bool skip_special) const override;

  std::size_t vocab_size() const override { return bytes_.size(); }
  std::optional<Token> token_id(std::string_view content) const override;
  bool is_special(Token id) const override {
    return id >= 0 && static_cast<std::size_t>(id) < special_.size() &&
           special_[static_cast<std::size_t>(id)];
  }
  std::optional<Token> bos() const override { return bos_; }
  const formats::TokenizerFile& file() const override { return file_; }

 private:
  // Memory of one encode call.
  struct Work {
    std::vector<Token> ids;
    BytePairEncoder::Scratch bpe;
    SplitRegex::Scratch regex;
    Status status;
  };
  explicit ByteLevelTokenizer(formats::TokenizerFile file) : file_(std::move(file)) {}
  Result<std::vector<Token>> encode_spans(std::string_view text, std::span<const TextSpan> ordinary) const;
  Status add_tokens();
  void fill_bytes();
  void encode_plain(std::string_view text, Work& work) const;
  void encode_valid(std::string_view text, Work& work) const;
  void split_from(std::size_t level, std::string_view text, Work& work) const;
  void encode_piece(std::string_view piece, Work& work) const;

  formats::TokenizerFile file_;
  Vocabulary vocabulary_;  // views into file_
  std::unordered_map<std::string_view, Token> added_ids_;
  std::vector<std::string> bytes_;  // id -> what it decodes to
  std::vector<bool> special_;
  AddedTokenMatcher raw_added_, normalized_added_;
  std::vector<SplitRegex> splits_;
  std::unique_ptr<BytePairEncoder> bpe_;
  std::optional<Token> bos_;
};

Result<std::unique_ptr<Tokenizer>> ByteLevelTokenizer::create(formats::TokenizerFile file) {
  std::unique_ptr<ByteLevelTokenizer> out(new ByteLevelTokenizer(std::move(file)));
  out->vocabulary_.reserve(out->file_.vocab.size());
  for (std::size_t id = 0; id < out->file_.vocab.size(); ++id) {
    const std::string& token = out->file_.vocab[id];
    if (!token.empty() && !out->vocabulary_.emplace(token, static_cast<Token>(id)).second) {
      return corrupt_data("build tokenizer: id " + std::to_string(id) + ": its token has another id already");
    }
  }
  KAKEYA_ASSIGN(const auto single, single_bytes(out->vocabulary_));
  KAKEYA_ASSIGN(const auto merges, resolve_merges(out->file_, out->vocabulary_));
  out->bpe_ = std::make_unique<BytePairEncoder>(single, merges);
  for (const std::string& regex : out->file_.split_regexes) {
    KAKEYA_ASSIGN(SplitRegex compiled, SplitRegex::compile(regex));
    out->splits_.push_back(std::move(compiled));
  }
  KAKEYA_TRY(out->add_tokens());
  out->fill_bytes();
  if (out->file_.add_bos_token) {
    out->bos_ = out->token_id(out->file_.bos_token);
    if (!out->bos_.has_value()) {
      return corrupt_data("build tokenizer: bos_token \"" + out->file_.bos_token +
                          "\" is to be prepended, but is no token");
    }
  }
  return std::unique_ptr<Tokenizer>(std::move(out));
}

Status ByteLevelTokenizer::add_tokens() {
  for (const formats::AddedToken& token : file_.added) {
    const auto known = vocabulary_.find(token.content);
    const auto id = static_cast<std::size_t>(token.id);
    const bool taken =
        id < file_.vocab.size() && !file_.vocab[id].empty() && file_.vocab[id] != token.content;
    if (token.id < 0 || taken || (known != vocabulary_.end() && known->second != token.id)) {
      return corrupt_data("build tokenizer: added token " + std::to_string(token.id) +
                          ": contradicts the vocabulary, expected one id for one content");
    }
    if (!added_ids_.emplace(token.content, token.id).second) {
      return corrupt_data("build tokenizer: added token " + std::to_string(token.id) +
                          ": its content appears twice");
    }
    const bool normalized =
        token.normalized && file_.nfc && valid_utf8_prefix(token.content) == token.content.size();
    if (token.normalized) {
      normalized_added_.add(token, normalized ? normalize_nfc(token.content) : token.content);
    } else {
      raw_added_.add(token, token.content);
    }
  }
  return {};
}

void ByteLevelTokenizer::fill_bytes() {
  bytes_.reserve(file_.vocab.size());
  for (const std::string& token : file_.vocab) bytes_.push_back(from_alphabet(token).value_or(token));
  special_.resize(bytes_.size(), false);
  for (const formats::AddedToken& token : file_.added) {
    const auto id = static_cast<std::size_t>(token.id);
    if (id >= bytes_.size()) {
      bytes_.resize(id + 1);
      special_.resize(id + 1, false);
    }
    bytes_[id] = token.content;
    special_[id] = token.special;
  }
}

std::optional<Token> ByteLevelTokenizer::token_id(std::string_view content) const {
  if (const auto found = added_ids_.find(content); found != added_ids_.end()) return found->second;
  if (const auto found = vocabulary_.find(content); found != vocabulary_.end()) return found->second;
  return std::nullopt;
}

// `ordinary`: where special tokens are ordinary text.
Result<std::vector<Token>> ByteLevelTokenizer::encode_spans(std::string_view text,
                                                            std::span<const TextSpan> ordinary) const {
  if (text.size() > kMaxTextBytes) {
    return invalid_argument("tokenize: text of " + std::to_string(text.size()) + " bytes, expected at most " +
                            std::to_string(kMaxTextBytes));
  }
  Work work;
  raw_added_.split(text, ordinary, [&](std::optional<Token> id, std::string_view part) {
    if (id.has_value()) {
      work.ids.push_back(*id);
      return;
    }
    const auto begin = static_cast<std::size_t>(part.data() - text.data());
    const TextSpan place = {begin, begin + part.size()};
    const auto plain = [&](std::string_view normal) {
      // Places move when text is normalised, so here a part is ordinary as a whole or not at all.
      const TextSpan all = {0, normal.size()};
      const bool any = touches(ordinary, place);
      const auto spans = any ? std::span(&all, 1) : std::span<const TextSpan>();
      normalized_added_.split(normal, spans, [&](std::optional<Token> inner, std::string_view rest) {
        if (inner.has_value()) {
          work.ids.push_back(*inner);
        } else {
          encode_plain(rest, work);
        }
      });
    };
    // Bytes that are no UTF-8 have no normal form: they stay, and what lies between them is normalised.
    if (!file_.nfc) return plain(part);
    std::string normal;
    normal.reserve(part.size());
    while (!part.empty()) {
      const std::size_t valid = valid_utf8_prefix(part);
      normal += normalize_nfc(part.substr(0, valid));
      part.remove_prefix(valid);
      const std::size_t bad = next_utf8(part).length;
      normal += part.substr(0, bad);
      part.remove_prefix(bad);
    }
    plain(normal);
  });
  if (!work.status.ok()) return work.status.error();
  return std::move(work.ids);
}

// Runs of valid UTF-8 go through the split step; runs of other bytes are pieces of their own.
void ByteLevelTokenizer::encode_plain(std::string_view text, Work& work) const {
  while (!text.empty() && work.status.ok()) {
    const std::size_t valid = valid_utf8_prefix(text);
    if (valid > 0) encode_valid(text.substr(0, valid), work);
    text.remove_prefix(valid);
    std::size_t bad = 0;
    for (Utf8Step step = next_utf8(text); step.length > 0 && !step.valid;
         step = next_utf8(text.substr(bad))) {
      bad += step.length;
    }
    if (bad > 0) encode_piece(text.substr(0, bad), work);
    text.remove_prefix(bad);
  }
}

void ByteLevelTokenizer::encode_valid(std::string_view text, Work& work) const {
  if (file_.add_prefix_space && !text.starts_with(' ')) return split_from(0, ' ' + std::string(text), work);
  split_from(0, text, work);
}

void ByteLevelTokenizer::split_from(std::size_t level, std::string_view text, Work& work) const {
  if (!work.status.ok()) return;
  if (level == splits_.size()) return encode_piece(text, work);
  Status status = splits_[level].split(text, work.regex,
                                       [&](std::string_view part) { split_from(level + 1, part, work); });
  if (!status.ok() && work.status.ok()) work.status = std::move(status);
}

void ByteLevelTokenizer::encode_piece(std::string_view piece, Work& work) const {
  if (piece.size() > kMaxPieceBytes) {
    work.status = invalid_argument("tokenize: one word of " + std::to_string(piece.size()) +
                                   " bytes, expected at most " + std::to_string(kMaxPieceBytes));
    return;
  }
  if (file_.ignore_merges) {
    const auto whole = vocabulary_.find(to_alphabet(piece));
    if (whole != vocabulary_.end()) {
      work.ids.push_back(whole->second);
      return;
    }
  }
  bpe_->encode(piece, work.ids, work.bpe);
}

std::string ByteLevelTokenizer::decode(std::span<const Token> ids, bool skip_special) const {
  std::string out;
  for (const Token id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size()) continue;
    if (skip_special && is_special(id)) continue;
    out += bytes_[static_cast<std::size_t>(id)];
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(formats::TokenizerFile file) {
  return ByteLevelTokenizer::create(std::move(file));
}

}  // namespace kakeya::text
