#include "text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "text/utf8.h"

namespace kakeya::text {
namespace {

bool is_ascii(char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }

// Canonical order of combining marks. utf8proc's own is quadratic in a run of marks; this is not.
void reorder(std::vector<utf8proc_int32_t>& codes) {
  const auto combining = [](utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; };
  std::size_t begin = 0;
  while (begin < codes.size()) {
    std::size_t end = begin;
    while (end < codes.size() && combining(codes[end]) != 0) ++end;
    std::stable_sort(codes.begin() + static_cast<std::ptrdiff_t>(begin),
                     codes.begin() + static_cast<std::ptrdiff_t>(end),
                     [&](utf8proc_int32_t a, utf8proc_int32_t b) { return combining(a) < combining(b); });
    begin = end + 1;
  }
}

void append_nfc(std::string_view text, std::string& out) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    text.remove_prefix(step.length);
    std::array<utf8proc_int32_t, 32> parts;  // the longest canonical decomposition has 4 code points
    int last_boundary = 0;
    const auto n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(step.code), parts.data(),
                                static_cast<utf8proc_ssize_t>(parts.size()), kOptions, &last_boundary);
    if (n < 0 || n > static_cast<utf8proc_ssize_t>(parts.size())) {
      codes.push_back(static_cast<utf8proc_int32_t>(step.code));
    } else {
      codes.insert(codes.end(), parts.begin(), parts.begin() + n);
    }
  }
  reorder(codes);
  const auto n =
      utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()), kOptions);
  const std::size_t count = n < 0 ? codes.size() : static_cast<std::size_t>(n);
  for (std::size_t i = 0; i < count; ++i) append_utf8(out, static_cast<std::uint32_t>(codes[i]));
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    // ASCII stays as it is, except the last of a run: a mark behind it may combine with it.
    std::size_t end = at;
    while (end < text.size() && is_ascii(text[end])) ++end;
    const std::size_t plain = end == text.size() ? end : std::max(at, end - (end > at ? 1 : 0));
    out.append(text.substr(at, plain - at));
    at = plain;
    if (at == text.size()) break;
    // Nothing combines with an ASCII character on its left, so a stretch may end before any.
    end = at + 1;
    while (end < text.size() && !is_ascii(text[end])) ++end;
    append_nfc(text.substr(at, end - at), out);
    at = end;
  }
  return out;
}

}  // namespace kakeya::text
