#include "hub/model_id.h"

#include <algorithm>

namespace kakeya::hub {
namespace {

// Of UTF-8's too: U+0080 to U+009F are two bytes, and some terminals obey them.
bool has_control(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
    if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0)) return true;
  }
  return false;
}

constexpr std::size_t kMaxName = 96, kMaxPathPart = 200, kMaxPath = 1000;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && is_alnum(text.front()) &&
         text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), [](char c) {
           return is_alnum(c) || c == '-' || c == '_' || c == '.';
         });
}

// Calls `check` on every part between slashes; false when one is refused.
template <class Check>
bool every_part(std::string_view path, Check check) {
  for (std::size_t at = 0;;) {
    const std::size_t slash = path.find('/', at);
    if (!check(path.substr(at, slash == std::string_view::npos ? slash : slash - at))) return false;
    if (slash == std::string_view::npos) return true;
    at = slash + 1;
  }
}

}  // namespace

std::optional<ModelId> parse_model_id(std::string_view text) {
  ModelId id;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    id.variant = text.substr(colon + 1);
    if (!is_name(id.variant)) return {};
    for (char& c : id.variant) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    text = text.substr(0, colon);
  }
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  id.org = text.substr(0, slash);
  id.repo = text.substr(slash + 1);
  if (!is_name(id.org) || !is_name(id.repo)) return {};
  return id;
}

bool is_revision(std::string_view text) {
  return text.size() <= kMaxPathPart && every_part(text, [](std::string_view part) { return is_name(part); });
}

bool is_safe_path(std::string_view path) {
  return path.size() <= kMaxPath && every_part(path, [](std::string_view part) {
           return !part.empty() && part != "." && part != ".." && part.size() <= kMaxPathPart &&
                  part.find('\\') == std::string_view::npos && !has_control(part);
         });
}

}  // namespace kakeya::hub
