#include "serve/page/chat_page.h"

#include "serve/page/chat_page_data.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace kakeya::serve::page {

std::string_view chat_page() { return {reinterpret_cast<const char*>(kChatPageBytes), kChatPageSize}; }

std::string_view chat_page_policy() { return kChatPagePolicy; }

bool accepts_page(std::string_view accept) {
  std::string text;
  for (const char c : accept) {
    if (c != ' ' && c != '\t') text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t to = std::min(text.find(',', from), text.size());
    const std::string_view entry = std::string_view(text).substr(from, to - from);
    const std::string_view type = entry.substr(0, entry.find(';'));
    const bool refused = entry.ends_with(";q=0") || entry.ends_with(";q=0.0");
    if ((type == "text/html" || type == "application/xhtml+xml") && !refused) return true;
    from = to + 1;
  }
  return false;
}

}  // namespace kakeya::serve::page
