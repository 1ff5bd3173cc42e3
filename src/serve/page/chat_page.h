// The built-in chat page and the decision who gets it. Not for the routes that the page calls.
#pragma once
#include <string_view>

namespace kakeya::serve::page {

std::string_view chat_page();
// Value of Content-Security-Policy under which the page runs and nothing else does.
std::string_view chat_page_policy();
// Whether a client with this Accept header is a browser that opens `/`; API clients name other types or */*.
bool accepts_page(std::string_view accept);

}  // namespace kakeya::serve::page
