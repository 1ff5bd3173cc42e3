#include "formats/tokenizer_file.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/file.h"
#include "formats/config_reader.h"
#include "formats/gguf.h"
#include "formats/gguf_tokenizer.h"
#include "formats/gzip.h"
#include "formats/pre_tokenizer.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxSideFileBytes = std::uint64_t{16} << 20;

Status read_vocab(const ConfigReader& model, TokenizerFile& out) {
  const json* vocab = model.find("vocab");
  if (vocab == nullptr || !vocab->is_object() || vocab->empty()) {
    return model.corrupt("vocab", vocab == nullptr ? "nothing" : describe(*vocab),
                         "an object of tokens and ids");
  }
  // Ids may have small gaps; a huge id would only be there to make us allocate.
  const std::uint64_t limit = std::min(kMaxId, 16 * vocab->size() + 65536);
  std::vector<bool> taken;
  for (const auto& [token, id_value] : vocab->items()) {
    const std::string key = "vocab." + printable(token);
    if (token.empty() || token.size() > kMaxTokenBytes) {
      return model.corrupt(key, "a token of " + std::to_string(token.size()) + " bytes",
                           "1 to " + std::to_string(kMaxTokenBytes));
    }
    KAKEYA_ASSIGN(const std::uint64_t id, model.as_uint(key, id_value, {0, limit - 1}));
    if (id >= out.vocab.size()) {
      out.vocab.resize(id + 1);
      taken.resize(id + 1, false);
    }
    if (taken[id]) return model.corrupt(key, "id " + std::to_string(id) + " again", "every id once");
    taken[id] = true;
    out.vocab[id] = token;
  }
  return {};
}

// "a b" or ["a", "b"]; a token of the byte-level alphabet has no space in it.
Status read_merges(const ConfigReader& model, TokenizerFile& out) {
  const json* merges = model.find("merges");
  if (merges == nullptr || !merges->is_array()) {
    return model.corrupt("merges", merges == nullptr ? "nothing" : describe(*merges), "a list of merges");
  }
  out.merges.reserve(merges->size());
  for (const json& merge : *merges) {
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space != std::string::npos && space > 0 && space + 1 < text.size() &&
          text.find(' ', space + 1) == std::string::npos) {
        out.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        continue;
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      out.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    return model.corrupt("merges[" + std::to_string(out.merges.size()) + "]", describe(merge),
                         "\"left right\" or [\"left\", \"right\"]");
  }
  return {};
}

Status read_model(const std::string& name, const json& root, TokenizerFile& out) {
  const ConfigReader top(name, root);
  const json* object = top.find("model");
  if (object == nullptr || !object->is_object()) return top.missing("model", "an object");
  const ConfigReader model(name, *object, "model.");
  KAKEYA_ASSIGN(const std::string type, model.string("type"));
  if (type != "BPE") return model.refuse("type", '"' + printable(type) + '"', "\"BPE\"");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json* value = model.find(key);
    if (value != nullptr && *value != "") return model.refuse(key, describe(*value), "\"\": byte-level BPE");
  }
  if (model.has("dropout")) return model.refuse("dropout", describe(*model.find("dropout")), "null");
  KAKEYA_ASSIGN(const bool byte_fallback, model.boolean_or("byte_fallback", false));
  if (byte_fallback) return model.refuse("byte_fallback", "true", "false: byte-level BPE");
  KAKEYA_ASSIGN(out.ignore_merges, model.boolean_or("ignore_merges", false));
  KAKEYA_TRY(read_vocab(model, out));
  return read_merges(model, out);
}

Result<AddedToken> read_added_token(const ConfigReader& reader, std::uint64_t id) {
  AddedToken token;
  token.id = static_cast<Token>(id);
  KAKEYA_ASSIGN(token.content, reader.string("content"));
  if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes) {
    return reader.corrupt("content", std::to_string(token.content.size()) + " bytes",
                          "1 to " + std::to_string(kMaxAddedTokenBytes));
  }
  KAKEYA_ASSIGN(token.special, reader.boolean_or("special", false));
  KAKEYA_ASSIGN(token.lstrip, reader.boolean_or("lstrip", false));
  KAKEYA_ASSIGN(token.rstrip, reader.boolean_or("rstrip", false));
  KAKEYA_ASSIGN(token.single_word, reader.boolean_or("single_word", false));
  KAKEYA_ASSIGN(token.normalized, reader.boolean_or("normalized", !token.special));
  return token;
}

Status read_added(const std::string& name, const json& root, TokenizerFile& out) {
  const ConfigReader top(name, root);
  const json* list = top.find("added_tokens");
  if (list == nullptr) return {};
  if (!list->is_array() || list->size() > kMaxAddedTokens) {
    return top.corrupt("added_tokens", describe(*list),
                       "a list of at most " + std::to_string(kMaxAddedTokens) + " tokens");
  }
  std::unordered_set<Token> ids;
  std::unordered_set<std::string> contents;
  for (const json& item : *list) {
    const std::string key = "added_tokens[" + std::to_string(out.added.size()) + "]";
    if (!item.is_object()) return top.corrupt(key, describe(item), "an object");
    const ConfigReader reader(name, item, key + ".");
    KAKEYA_ASSIGN(const std::uint64_t id, reader.uint("id", {0, kMaxId - 1}));
    KAKEYA_ASSIGN(AddedToken token, read_added_token(reader, id));
    if (!ids.insert(token.id).second)
      return top.corrupt(key, "id " + std::to_string(id) + " again", "every id once");
    if (!contents.insert(token.content).second) {
      return top.corrupt(key, '"' + printable(token.content) + "\" again", "every content once");
    }
    out.added.push_back(std::move(token));
  }
  return {};
}

// tokenizer_config.json may name added tokens that tokenizer.json lacks.
Status merge_added_decoder(const ConfigReader& config, TokenizerFile& out) {
  const json* decoder = config.find("added_tokens_decoder");
  if (decoder == nullptr) return {};
  if (!decoder->is_object() || decoder->size() > kMaxAddedTokens) {
    return config.corrupt("added_tokens_decoder", describe(*decoder), "an object of ids and tokens");
  }
  std::unordered_set<std::string> contents;
  for (const AddedToken& token : out.added) contents.insert(token.content);
  for (const auto& [id_text, item] : decoder->items()) {
    const std::string key = "added_tokens_decoder." + printable(id_text);
    const bool digits =
        !id_text.empty() && id_text.size() <= 9 &&
        std::all_of(id_text.begin(), id_text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::uint64_t id = digits ? std::stoull(id_text) : kMaxId;
    if (id >= kMaxId) return config.corrupt(key, "this key", "an id from 0 to " + std::to_string(kMaxId - 1));
    if (!item.is_object()) return config.corrupt(key, describe(item), "an object");
    KAKEYA_ASSIGN(AddedToken token, read_added_token(ConfigReader(config.file(), item, key + "."), id));
    if (!contents.insert(token.content).second) continue;
    const auto same_id = std::find_if(out.added.begin(), out.added.end(),
                                      [&](const AddedToken& other) { return other.id == token.id; });
    if (same_id != out.added.end()) {
      return config.corrupt(key, '"' + printable(token.content) + '"',
                            '"' + printable(same_id->content) + "\" as in tokenizer.json");
    }
    out.added.push_back(std::move(token));
  }
  return {};
}

// A token as text: "<s>", {"content": "<s>", ...} or null.
Result<std::string> read_token_text(const ConfigReader& config, const char* key) {
  const json* value = config.find(key);
  if (value == nullptr) return std::string();
  if (value->is_object()) {
    const auto content = value->find("content");
    if (content != value->end() && content->is_string()) return content->get<std::string>();
  }
  if (!value->is_string())
    return config.corrupt(key, describe(*value), "a string, an object with content, or null");
  return value->get<std::string>();
}

// One template, or a list of named ones of which "default" is taken.
Result<std::string> read_chat_template(const ConfigReader& config) {
  const json* value = config.find("chat_template");
  if (value == nullptr) return std::string();
  if (value->is_string()) return value->get<std::string>();
  if (value->is_array()) {
    for (const json& item : *value) {
      if (!item.is_object() || item.value("name", json()) != "default") continue;
      const auto text = item.find("template");
      if (text != item.end() && text->is_string()) return text->get<std::string>();
    }
    return std::string();
  }
  return config.corrupt("chat_template", describe(*value), "a string or a list of named templates");
}

Status apply_config(const std::string& path, TokenizerFile& out) {
  KAKEYA_ASSIGN(const std::string text, base::read_file(path, kMaxSideFileBytes));
  KAKEYA_ASSIGN(const json root, parse_json(path, text));
  if (!root.is_object())
    return corrupt_data("read " + path + ": found " + describe(root) + ", expected an object");
  const ConfigReader config(path, root);
  KAKEYA_ASSIGN(out.chat_template, read_chat_template(config));
  KAKEYA_ASSIGN(const std::string bos, read_token_text(config, "bos_token"));
  KAKEYA_ASSIGN(out.eos_token, read_token_text(config, "eos_token"));
  if (!bos.empty()) out.bos_token = bos;
  KAKEYA_ASSIGN(out.add_bos_token, config.boolean_or("add_bos_token", out.add_bos_token));
  return merge_added_decoder(config, out);
}

// tokenizer.json or .gz for a directory, else the path itself.
Result<std::string> find_tokenizer_json(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  for (const char* name : {"/tokenizer.json", "/tokenizer.json.gz"}) {
    if (std::filesystem::exists(path + name, ignored)) return path + name;
  }
  return not_found("open tokenizer in " + path + ": found neither tokenizer.json nor tokenizer.json.gz");
}

}  // namespace

Result<TokenizerFile> parse_tokenizer_file(const std::string& name, const std::string& json_text) {
  KAKEYA_ASSIGN(const json root, parse_json(name, json_text));
  if (!root.is_object())
    return corrupt_data("read " + name + ": found " + describe(root) + ", expected an object");
  TokenizerFile out;
  KAKEYA_TRY(read_pipeline(ConfigReader(name, root), out));
  KAKEYA_TRY(read_model(name, root, out));
  KAKEYA_TRY(read_added(name, root, out));
  return out;
}

Result<TokenizerFile> load_tokenizer_file(const std::string& path) {
  if (is_gguf_file(path)) {
    KAKEYA_ASSIGN(const MappedGguf gguf, open_gguf(path));
    return gguf_tokenizer(gguf.file);
  }
  KAKEYA_ASSIGN(const std::string file, find_tokenizer_json(path));
  KAKEYA_ASSIGN(std::string text, base::read_file(file, kMaxTokenizerBytes));
  if (is_gzip(text)) {
    KAKEYA_ASSIGN(text, gunzip(file, text, kMaxTokenizerBytes));
  }
  KAKEYA_ASSIGN(TokenizerFile out, parse_tokenizer_file(file, text));
  const std::string directory = std::filesystem::path(file).parent_path().string();
  const std::string prefix = directory.empty() ? "" : directory + "/";
  std::error_code ignored;
  if (std::filesystem::exists(prefix + "tokenizer_config.json", ignored)) {
    KAKEYA_TRY(apply_config(prefix + "tokenizer_config.json", out));
  }
  if (out.chat_template.empty() && std::filesystem::exists(prefix + "chat_template.jinja", ignored)) {
    KAKEYA_ASSIGN(out.chat_template, base::read_file(prefix + "chat_template.jinja", kMaxSideFileBytes));
  }
  return out;
}

}  // namespace kakeya::formats
