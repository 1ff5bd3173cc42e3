#include "engine/tokenizer_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "formats/tokenizer_file.h"

namespace kakeya::engine {
namespace {

constexpr std::size_t kMostAdded = std::size_t{1} << 22;  // ids of added tokens beyond are left out

// Texts by id, "" where there is none. Nothing when the model has no tokenizer.
Result<std::optional<std::vector<std::string>>> texts_of(const std::string& path) {
  auto file = formats::load_tokenizer_file(path);
  if (!file.ok() && file.error().code == ErrorCode::kNotFound)
    return std::optional<std::vector<std::string>>();
  if (!file.ok()) return file.error();
  std::vector<std::string> texts = std::move(file->vocab);
  for (const formats::AddedToken& token : file->added) {
    const auto id = static_cast<std::size_t>(token.id);
    if (token.id < 0 || id >= kMostAdded) continue;
    if (id >= texts.size()) texts.resize(id + 1);
    texts[id] = token.content;
  }
  return std::optional(std::move(texts));
}

std::string shown(const std::string& text) {
  std::string out = text.substr(0, 40);
  for (char& c : out) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

}  // namespace

Result<std::string> other_tokenizer(const std::string& target, const std::string& draft) {
  KAKEYA_ASSIGN(const auto ours, texts_of(target));
  const auto read = texts_of(draft);
  if (!read.ok())
    return "the draft's tokenizer, which is not used, cannot be compared: " + read.error().message;
  const auto& theirs = *read;
  if (!ours || !theirs) return std::string();
  for (std::size_t id = 0; id < std::min(ours->size(), theirs->size()); ++id) {
    const std::string &a = (*ours)[id], &b = (*theirs)[id];
    if (a.empty() || b.empty() || a == b) continue;
    return fmt::format(
        "token {} of the draft's tokenizer is \"{}\", of the target's \"{}\": drafts are made for the "
        "tokenizer of their target",
        id, shown(b), shown(a));
  }
  return std::string();
}

}  // namespace kakeya::engine
