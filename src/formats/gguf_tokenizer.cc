#include "formats/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "formats/config_reader.h"
#include "formats/gguf_config.h"
#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTokenTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

// llama.cpp's converter marks every added token of the form <|...|> as control. In Qwen's own files these
// are not special: they are recognised in any text and shown when decoded.
constexpr std::array<std::string_view, 6> kPlainInQwen = {
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"};

Result<const GgufPreTokenizer*> find_rule(const ConfigReader& reader) {
  KAKEYA_ASSIGN(std::string name, reader.string("tokenizer.ggml.pre"));
  if (name == "llama3" || name == "llama-v3") name = "llama-bpe";  // llama.cpp's older names
  std::string known;
  for (const GgufPreTokenizer& rule : gguf_pre_tokenizers()) {
    if (name == rule.name) return &rule;
    known += (known.empty() ? "\"" : ", \"") + std::string(rule.name) + '"';
  }
  return reader.refuse("tokenizer.ggml.pre", '"' + printable(name) + '"', "one of " + known);
}

Result<std::vector<std::string_view>> strings(const GgufFile& file, const ConfigReader& reader,
                                              const char* key) {
  const GgufMeta* value = file.find(key);
  if (value == nullptr) return reader.missing(key, "a list of strings");
  if (value->type != GgufValue::kArray || value->element != GgufValue::kString) {
    return reader.corrupt(key, describe(*value), "a list of strings");
  }
  if (value->count > kMaxId) {
    return reader.corrupt(key, describe(*value), "at most " + std::to_string(kMaxId));
  }
  return string_items(*value);
}

// One type per token; all normal where the file has no such list.
Result<std::vector<std::int64_t>> token_types(const GgufFile& file, const ConfigReader& reader,
                                              std::size_t count) {
  const GgufMeta* value = file.find(kTokenTypes);
  if (value == nullptr) {
    return std::vector<std::int64_t>(count, static_cast<std::int64_t>(GgufTokenType::kNormal));
  }
  if (value->type != GgufValue::kArray || value->count != count ||
      (value->element != GgufValue::kI32 && value->element != GgufValue::kU32)) {
    return reader.corrupt(kTokenTypes, describe(*value),
                          "a list of " + std::to_string(count) + " numbers, one per token");
  }
  return integer_items(*value);
}

Status read_tokens(const GgufFile& file, const ConfigReader& reader, bool qwen, TokenizerFile& out) {
  KAKEYA_ASSIGN(const auto texts, strings(file, reader, kTokens));
  if (texts.empty()) return reader.corrupt(kTokens, "an empty list", "tokens");
  KAKEYA_ASSIGN(const auto types, token_types(file, reader, texts.size()));
  std::unordered_set<std::string_view> added;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    const auto type = static_cast<GgufTokenType>(types[id]);
    const std::string key = std::string(kTokens) + '[' + std::to_string(id) + ']';
    if (type == GgufTokenType::kUnused) continue;  // fills up to the embedding's rows, no token
    if (types[id] < 1 || types[id] > 6 || type == GgufTokenType::kByte || type == GgufTokenType::kUnknown) {
      return reader.refuse(std::string(kTokenTypes) + '[' + std::to_string(id) + ']',
                           std::to_string(types[id]),
                           "1 (normal), 3 (control), 4 (user defined) or 5 (unused)");
    }
    const bool normal = type == GgufTokenType::kNormal;
    const std::size_t limit = normal ? kMaxTokenBytes : kMaxAddedTokenBytes;
    if (text.empty() || text.size() > limit) {
      return reader.corrupt(key, "a token of " + std::to_string(text.size()) + " bytes",
                            "1 to " + std::to_string(limit));
    }
    if (normal) {
      if (out.vocab.size() <= id) out.vocab.resize(id + 1);
      out.vocab[id] = text;
      continue;
    }
    if (!added.insert(text).second) {
      return reader.corrupt(key, '"' + printable(text) + "\" again", "every added token once");
    }
    if (out.added.size() == kMaxAddedTokens) {
      return reader.corrupt(kTokenTypes, "more than " + std::to_string(kMaxAddedTokens) + " added tokens",
                            "fewer");
    }
    AddedToken token;
    token.id = static_cast<Token>(id);
    token.content = text;
    token.special =
        type == GgufTokenType::kControl &&
        !(qwen && std::find(kPlainInQwen.begin(), kPlainInQwen.end(), text) != kPlainInQwen.end());
    out.added.push_back(std::move(token));
  }
  return {};
}

Status read_merges(const GgufFile& file, const ConfigReader& reader, TokenizerFile& out) {
  KAKEYA_ASSIGN(const auto merges, strings(file, reader, kMerges));
  out.merges.reserve(merges.size());
  for (const std::string_view merge : merges) {
    const std::size_t space = merge.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == merge.size() ||
        merge.find(' ', space + 1) != std::string_view::npos) {
      return reader.corrupt(std::string(kMerges) + '[' + std::to_string(out.merges.size()) + ']',
                            '"' + printable(merge) + '"', "\"left right\"");
    }
    out.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return {};
}

// The text of the token that `key` names; "" when the file has no such key.
Result<std::string> token_text(const GgufFile& file, const ConfigReader& reader, const char* key) {
  if (!reader.has(key)) return std::string();
  const auto texts = string_items(*file.find(kTokens));
  KAKEYA_ASSIGN(const std::uint64_t id, reader.uint(key, {0, texts.size() - 1}));
  return std::string(texts[id]);
}

}  // namespace

Result<TokenizerFile> gguf_tokenizer(const GgufFile& file) {
  const nlohmann::json root = gguf_metadata_json(file);
  const ConfigReader reader(file.name, root);
  constexpr const char* kModel = "tokenizer.ggml.model";
  if (!reader.has(kModel) || *reader.find(kModel) == "none" || *reader.find(kModel) == "no_vocab") {
    return not_found("read " + file.name + ": key \"" + kModel + "\": found no tokenizer");
  }
  KAKEYA_ASSIGN(const std::string model, reader.string(kModel));
  if (model != "gpt2") {
    return reader.refuse(kModel, '"' + printable(model) + '"', "\"gpt2\", byte-level BPE");
  }
  KAKEYA_ASSIGN(const GgufPreTokenizer* rule, find_rule(reader));
  for (const char* key : {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix",
                          "tokenizer.ggml.normalizer.lowercase", "tokenizer.ggml.normalizer.strip_accents"}) {
    KAKEYA_ASSIGN(const bool on, reader.boolean_or(key, false));
    if (on) return reader.refuse(key, "true", "false or nothing");
  }
  const std::string_view name = rule->name;
  TokenizerFile out;
  out.nfc = rule->nfc;
  out.ignore_merges = rule->ignore_merges;
  out.split_regexes = {rule->regex};
  KAKEYA_TRY(read_tokens(file, reader, name == "qwen2", out));
  KAKEYA_TRY(read_merges(file, reader, out));
  KAKEYA_ASSIGN(out.bos_token, token_text(file, reader, "tokenizer.ggml.bos_token_id"));
  KAKEYA_ASSIGN(out.eos_token, token_text(file, reader, "tokenizer.ggml.eos_token_id"));
  // llama.cpp's default for Llama-3 files, which older converters did not write.
  const bool usual = name == "llama-bpe" && !out.bos_token.empty();
  KAKEYA_ASSIGN(out.add_bos_token, reader.boolean_or("tokenizer.ggml.add_bos_token", usual));
  if (const GgufMeta* text = file.find("tokenizer.chat_template"); text != nullptr) {
    if (text->type != GgufValue::kString) {
      return reader.corrupt("tokenizer.chat_template", describe(*text), "a string");
    }
    out.chat_template = text_of(*text);
  }
  return out;
}

}  // namespace kakeya::formats
