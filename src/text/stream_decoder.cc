#include "text/tokenizer.h"
#include "text/utf8.h"

namespace kakeya::text {

std::string StreamDecoder::push(Token id) {
  pending_ += tokenizer_.decode({&id, 1}, skip_special_);
  std::string out;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    if (step.incomplete) break;
    out += step.valid ? rest.substr(0, step.length) : kReplacement;
    rest.remove_prefix(step.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return out;
}

std::string StreamDecoder::finish() {
  // push() leaves at most one cut sequence, which one replacement stands for.
  std::string out(pending_.empty() ? std::string_view() : kReplacement);
  pending_.clear();
  return out;
}

}  // namespace kakeya::text
