#include "dialog/token_spans.h"

#include <algorithm>

namespace kakeya::dialog {

void TokenSpans::add(const ServiceEvent& event) {
  tokens_end_ = std::max(tokens_end_, text_end_);
  for (std::size_t i = 0; i < event.ids.size(); ++i) {
    Span span;
    span.id = event.ids[i];
    span.begin = tokens_end_;
    span.end = tokens_end_ += text_of_(span.id).size();
    if (i < event.drafted.size()) span.drafted = event.drafted[i];
    if (i < event.logprobs.size()) span.logprob = event.logprobs[i];
    begins_.push_back(span.begin);
    if (span.begin < span.end) waiting_.push_back(std::move(span));
  }
  text_end_ += event.text.size();
}

void TokenSpans::take(std::size_t begin, std::size_t end, AnswerPart& part) {
  while (!waiting_.empty() && waiting_.front().begin < end) {
    Span& span = waiting_.front();
    if (span.end > begin) {
      part.ids.push_back(span.id);
      part.drafted.push_back(span.drafted);
      if (span.logprob) part.logprobs.push_back(std::move(*span.logprob));
    }
    waiting_.pop_front();
  }
}

std::size_t TokenSpans::count_before(std::size_t end) const {
  return static_cast<std::size_t>(std::lower_bound(begins_.begin(), begins_.end(), end) - begins_.begin());
}

}  // namespace kakeya::dialog
