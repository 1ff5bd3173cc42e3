// t_max_predict_ms: an answer that has a new line ends when so much time passed since its first token.
#pragma once
#include <chrono>
#include <memory>

#include "dialog/dialog.h"

namespace kakeya::serve::llama {

class TimeLimitedReply final : public dialog::Reply {
 public:
  TimeLimitedReply(std::unique_ptr<dialog::Reply> reply, std::chrono::milliseconds limit)
      : reply_(std::move(reply)), limit_(limit) {}

  std::optional<dialog::AnswerPart> next(std::chrono::milliseconds wait) override;
  void cancel() override { reply_->cancel(); }

 private:
  std::unique_ptr<dialog::Reply> reply_;
  std::chrono::milliseconds limit_;
  std::optional<double> first_ms_;  // since submit
  bool new_line_ = false, over_ = false;
};

}  // namespace kakeya::serve::llama
