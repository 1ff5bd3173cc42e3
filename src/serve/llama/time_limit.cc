#include "serve/llama/time_limit.h"

namespace kakeya::serve::llama {

std::optional<dialog::AnswerPart> TimeLimitedReply::next(std::chrono::milliseconds wait) {
  auto part = reply_->next(wait);
  if (!part || part->kind != dialog::AnswerPart::Kind::kContent) return part;
  if (!first_ms_) first_ms_ = part->elapsed_ms;
  new_line_ = new_line_ || part->text.find('\n') != std::string::npos;
  if (!over_ && new_line_ && part->elapsed_ms - *first_ms_ > static_cast<double>(limit_.count())) {
    over_ = true;
    reply_->cancel();
  }
  return part;
}

}  // namespace kakeya::serve::llama
