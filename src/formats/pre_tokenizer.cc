#include "formats/pre_tokenizer.h"

#include <nlohmann/json.hpp>

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxSteps = 16;
constexpr std::size_t kMaxRegexBytes = 4096;
// What ByteLevel splits by when use_regex is set.
constexpr const char* kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The steps of a section: nothing, one object, or a Sequence of them under `list_key`.
Result<std::vector<const json*>> steps_of(const ConfigReader& top, const char* section,
                                          const char* list_key) {
  std::vector<const json*> out;
  const json* value = top.find(section);
  if (value == nullptr) return out;
  const ConfigReader reader(top.file(), *value, std::string(section) + ".");
  if (!value->is_object()) return top.corrupt(section, describe(*value), "an object or null");
  KAKEYA_ASSIGN(const std::string type, reader.string("type"));
  if (type != "Sequence") {
    out.push_back(value);
    return out;
  }
  const json* list = reader.find(list_key);
  if (list == nullptr || !list->is_array() || list->size() > kMaxSteps) {
    return reader.corrupt(list_key, list == nullptr ? "nothing" : describe(*list),
                          "a list of at most " + std::to_string(kMaxSteps) + " steps");
  }
  for (const json& step : *list) {
    if (!step.is_object()) return reader.corrupt(list_key, describe(step), "objects");
    out.push_back(&step);
  }
  return out;
}

std::string escape_regex(const std::string& literal) {
  std::string out;
  for (const char c : literal) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       (static_cast<unsigned char>(c) & 0x80) != 0 || static_cast<unsigned char>(c) <= 0x20;
    if (!plain) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

Status read_split(const ConfigReader& step, TokenizerFile& out) {
  KAKEYA_ASSIGN(const std::string behavior, step.string("behavior"));
  if (behavior != "Isolated") return step.refuse("behavior", '"' + printable(behavior) + '"', "\"Isolated\"");
  KAKEYA_ASSIGN(const bool invert, step.boolean_or("invert", false));
  if (invert) return step.refuse("invert", "true", "false");
  const json* pattern = step.find("pattern");
  const bool one =
      pattern != nullptr && pattern->is_object() && pattern->size() == 1 && pattern->begin()->is_string();
  if (!one || (!pattern->contains("Regex") && !pattern->contains("String"))) {
    return step.corrupt("pattern", pattern == nullptr ? "nothing" : describe(*pattern),
                        "{\"Regex\": ...} or {\"String\": ...}");
  }
  const auto& text = pattern->begin()->get_ref<const std::string&>();
  if (text.empty() || text.size() > kMaxRegexBytes) {
    return step.corrupt("pattern", std::to_string(text.size()) + " bytes",
                        "1 to " + std::to_string(kMaxRegexBytes));
  }
  out.split_regexes.push_back(pattern->contains("Regex") ? text : escape_regex(text));
  return {};
}

Status read_normalizer(const ConfigReader& top, TokenizerFile& out) {
  KAKEYA_ASSIGN(const auto steps, steps_of(top, "normalizer", "normalizers"));
  for (const json* step : steps) {
    const ConfigReader reader(top.file(), *step, "normalizer.");
    KAKEYA_ASSIGN(const std::string type, reader.string("type"));
    if (type != "NFC") return reader.refuse("type", '"' + printable(type) + '"', "\"NFC\"");
    out.nfc = true;
  }
  return {};
}

Status read_pre_tokenizers(const ConfigReader& top, TokenizerFile& out) {
  KAKEYA_ASSIGN(const auto steps, steps_of(top, "pre_tokenizer", "pretokenizers"));
  bool byte_level = false;
  for (const json* step : steps) {
    const ConfigReader reader(top.file(), *step, "pre_tokenizer.");
    KAKEYA_ASSIGN(const std::string type, reader.string("type"));
    if (byte_level) return reader.refuse("type", '"' + printable(type) + '"', "nothing after ByteLevel");
    if (type == "Split") {
      KAKEYA_TRY(read_split(reader, out));
      continue;
    }
    if (type != "ByteLevel") {
      return reader.refuse("type", '"' + printable(type) + '"', "\"Split\" or \"ByteLevel\"");
    }
    byte_level = true;
    KAKEYA_ASSIGN(out.add_prefix_space, reader.boolean_or("add_prefix_space", true));
    KAKEYA_ASSIGN(const bool use_regex, reader.boolean_or("use_regex", true));
    if (out.add_prefix_space && !out.split_regexes.empty()) {
      return reader.refuse("add_prefix_space", "true", "false after Split");
    }
    if (use_regex) out.split_regexes.emplace_back(kGpt2Regex);
  }
  if (!byte_level) return top.refuse("pre_tokenizer", "no ByteLevel step", "byte-level BPE");
  return {};
}

// TemplateProcessing: nothing or one token before the text, nothing behind it.
Status read_template(const ConfigReader& reader, TokenizerFile& out) {
  const json* single = reader.find("single");
  if (single == nullptr || !single->is_array()) return reader.missing("single", "a list");
  bool text_seen = false;
  std::size_t before = 0;
  for (const json& piece : *single) {
    if (piece.is_object() && piece.contains("Sequence")) {
      text_seen = true;
      continue;
    }
    const auto special = piece.is_object() ? piece.find("SpecialToken") : piece.end();
    const bool named = piece.is_object() && special != piece.end() && special->is_object() &&
                       special->value("id", json()).is_string();
    if (!named) return reader.corrupt("single", describe(piece), "SpecialToken or Sequence");
    if (text_seen || before++ > 0) {
      return reader.refuse("single", "tokens after the text or several before it",
                           "at most one token before it");
    }
    out.bos_token = special->at("id").get<std::string>();
    out.add_bos_token = true;
  }
  return {};
}

Status read_post_processors(const ConfigReader& top, TokenizerFile& out) {
  KAKEYA_ASSIGN(const auto steps, steps_of(top, "post_processor", "processors"));
  for (const json* step : steps) {
    const ConfigReader reader(top.file(), *step, "post_processor.");
    KAKEYA_ASSIGN(const std::string type, reader.string("type"));
    if (type == "TemplateProcessing") {
      KAKEYA_TRY(read_template(reader, out));
    } else if (type != "ByteLevel") {
      return reader.refuse("type", '"' + printable(type) + '"', "\"ByteLevel\" or \"TemplateProcessing\"");
    }
  }
  return {};
}

Status read_decoders(const ConfigReader& top) {
  KAKEYA_ASSIGN(const auto steps, steps_of(top, "decoder", "decoders"));
  for (const json* step : steps) {
    const ConfigReader reader(top.file(), *step, "decoder.");
    KAKEYA_ASSIGN(const std::string type, reader.string("type"));
    if (type != "ByteLevel") return reader.refuse("type", '"' + printable(type) + '"', "\"ByteLevel\"");
  }
  return {};
}

}  // namespace

Status read_pipeline(const ConfigReader& top, TokenizerFile& out) {
  KAKEYA_TRY(read_normalizer(top, out));
  KAKEYA_TRY(read_pre_tokenizers(top, out));
  KAKEYA_TRY(read_post_processors(top, out));
  return read_decoders(top);
}

}  // namespace kakeya::formats
