// Stop ids.
#include "decode/stop.h"

#include <algorithm>

namespace kakeya::decode {

StopRules::StopRules(std::vector<Token> ids) : ids_(std::move(ids)) { std::sort(ids_.begin(), ids_.end()); }

bool StopRules::is_stop(Token id) const { return std::binary_search(ids_.begin(), ids_.end(), id); }

std::size_t StopRules::kept(std::span<const Token> tokens) const {
  const auto stop = std::find_if(tokens.begin(), tokens.end(), [this](Token id) { return is_stop(id); });
  return static_cast<std::size_t>(stop - tokens.begin()) + (stop == tokens.end() ? 0 : 1);
}

}  // namespace kakeya::decode
