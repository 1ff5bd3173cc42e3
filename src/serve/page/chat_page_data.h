// Bytes of chat.html and its policy, written by embed.cmake at build time.
#pragma once
#include <cstddef>

namespace kakeya::serve::page {
extern const unsigned char kChatPageBytes[];
extern const std::size_t kChatPageSize;
extern const char kChatPagePolicy[];
}  // namespace kakeya::serve::page
