#include "serve/ids.h"

#include <random>
#include <string_view>

namespace kakeya::serve {

std::string random_id() {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> at(0, kLetters.size() - 1);
  std::string id;
  for (int i = 0; i < 24; ++i) id += kLetters[at(random)];
  return id;
}

}  // namespace kakeya::serve
