#include "serve/openai/drafted.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kakeya::serve::openai {
namespace {

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Json drafted_runs(const dialog::AnswerPart& part, const Engine& engine) {
  Json runs = Json::array();
  std::string joined;
  std::vector<std::pair<std::size_t, int>> ends;  // byte where a token ends, its flag
  for (std::size_t i = 0; i < part.ids.size(); ++i) {
    joined += engine.token_bytes(part.ids[i]);
    ends.emplace_back(joined.size(), i < part.drafted.size() && part.drafted[i] != 0 ? 1 : 0);
  }
  // The first and last token may be shared with the deltas beside this one.
  const std::size_t shift = joined.find(part.text);
  if (part.text.empty()) return runs;
  if (shift == std::string::npos) return Json::array({Json::array({part.text, 0})});
  std::size_t from = 0;
  int flag = -1;
  for (std::size_t at = 0, token = 0; at < part.text.size();) {
    std::size_t next = at + 1;
    while (next < part.text.size() && continues_character(part.text[next])) ++next;
    while (token + 1 < ends.size() && ends[token].first < shift + next) ++token;
    if (flag != ends[token].second && flag >= 0) {
      runs.push_back({part.text.substr(from, at - from), flag});
      from = at;
    }
    flag = ends[token].second;
    at = next;
  }
  runs.push_back({part.text.substr(from), flag});
  return runs;
}

}  // namespace kakeya::serve::openai
