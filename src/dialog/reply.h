// Events of the service in, parts of the answer out.
#pragma once
#include <deque>
#include <memory>

#include "dialog/dialog.h"
#include "dialog/output_parser.h"
#include "dialog/stop_filter.h"
#include "dialog/token_spans.h"

namespace kakeya::dialog {

struct ReplyOptions {
  bool parse = true;  // false: every text event becomes one part of content, with all its tokens
  OutputFormat format;
  std::uint64_t seed = 0;
  std::vector<std::string> loosened;  // as Summary
  TokenSpans::TextOf text_of;
  std::vector<std::string> stop_strings;  // with `parse`: of the content; the answer is cancelled there
};

class AnswerReply final : public Reply {
 public:
  AnswerReply(std::unique_ptr<Answer> answer, ReplyOptions options)
      : answer_(std::move(answer)),
        options_(std::move(options)),
        parser_(options_.format),
        stops_(options_.stop_strings),
        tokens_(options_.text_of) {}

  std::optional<AnswerPart> next(std::chrono::milliseconds wait) override;
  void cancel() override { answer_->cancel(); }

 private:
  void absorb(ServiceEvent event);
  void absorb_text(ServiceEvent event);
  void give_out(std::vector<OutputPart> parts, double elapsed_ms);
  void finish(ServiceEvent event);

  std::unique_ptr<Answer> answer_;
  ReplyOptions options_;
  OutputParser parser_;
  StopFilter stops_;
  TokenSpans tokens_;
  std::deque<AnswerPart> ready_;
  std::size_t calls_ = 0;
  bool over_ = false;
};

}  // namespace kakeya::dialog
