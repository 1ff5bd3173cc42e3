#include "dialog/output_parser.h"

#include <algorithm>

namespace kakeya::dialog {
namespace {

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";

// The size of `text` without those of `characters` that it ends with.
std::size_t size_without(std::string_view text, std::string_view characters) {
  return text.find_last_not_of(characters) + 1;  // npos + 1 is 0
}

}  // namespace

OutputParser::OutputParser(OutputFormat format)
    : format_(std::move(format)),
      state_(format_.reasoning == Reasoning::kNone ? State::kContent : State::kStart) {
  if (format_.tool_calls) scanner_ = new_call_scanner(format_.tool_format, format_.tools);
}

void OutputParser::push(std::string_view text, Parts& parts) {
  held_ += text;
  while (step(parts)) {
  }
}

void OutputParser::finish(Parts& parts) {
  while (state_ == State::kCall) {
    const CallScanner::End last = scanner_->read_last(std::string_view(held_).substr(element_));
    if (!last.call && !given_ && format_.stream_calls) {
      drop(element_ + last.behind);  // a call that was cut before its name was known
      state_ = State::kContent;
      newlines_ = !wrote_content_;
    } else {
      close_call(last, parts);
    }
    while (step(parts)) {
    }
  }
  finish_held(parts);
}

std::size_t OutputParser::reasoning_end() const {
  return state_ == State::kReasoning ? place_ + held_.size() : reasoning_end_;
}

bool OutputParser::step(Parts& parts) {
  switch (state_) {
    case State::kStart:
      return read_start();
    case State::kReasoning:
      return read_reasoning(parts);
    case State::kContent:
      return read_content(parts);
    case State::kCall:
      return read_call(parts);
  }
  return false;
}

bool OutputParser::read_start() {
  const std::size_t first = held_.find_first_not_of(kSpace);
  if (first == std::string::npos) return false;
  const std::string_view rest = std::string_view(held_).substr(first);
  if (rest.size() < kThink.size() && kThink.starts_with(rest)) return false;
  const bool tag = rest.starts_with(kThink);
  if (tag) drop(first + kThink.size());
  state_ = tag || format_.reasoning == Reasoning::kOpen ? State::kReasoning : State::kContent;
  newlines_ = state_ == State::kReasoning;
  return true;
}

bool OutputParser::read_reasoning(Parts& parts) {
  drop_newlines();
  const std::size_t end = held_.find(kThinkEnd);
  const bool ended = end != std::string::npos;
  const std::string_view text =
      std::string_view(held_).substr(0, ended ? end : held_.size() - cut_tag(held_, kThinkEnd));
  emit(OutputPart::Kind::kReasoning, size_without(text, "\n"), parts);
  if (!ended) return false;
  drop(held_.find(kThinkEnd) + kThinkEnd.size());
  reasoning_end_ = place_;
  state_ = State::kContent;
  newlines_ = true;
  return true;
}

bool OutputParser::read_content(Parts& parts) {
  drop_newlines();
  if (!scanner_) {
    emit(OutputPart::Kind::kContent, held_.size(), parts);
    return false;
  }
  const CallScanner::Begin begin = scanner_->find(held_);
  const std::size_t text = size_without(std::string_view(held_).substr(0, begin.at), kSpace);
  emit(OutputPart::Kind::kContent, text, parts);
  if (!begin.found) return false;
  state_ = State::kCall;
  element_ = begin.at - text;
  return true;
}

bool OutputParser::read_call(Parts& parts) {
  const auto end = scanner_->read(std::string_view(held_).substr(element_));
  if (!end) {
    if (format_.stream_calls) give_partial(parts);
    return false;
  }
  close_call(*end, parts);
  return true;
}

void OutputParser::give_partial(Parts& parts) {
  const CallScanner::Partial partial = scanner_->partial(std::string_view(held_).substr(element_));
  if (partial.name.empty() || (given_ && partial.behind == given_behind_)) return;
  OutputPart part;
  part.kind = given_ ? OutputPart::Kind::kToolArguments : OutputPart::Kind::kToolCall;
  part.text = partial.arguments.substr(given_ ? given_arguments_ : 0);
  if (!given_) part.tool_name = partial.name;
  part.begin = place_ + element_ + (given_ ? given_behind_ : 0);
  part.end = place_ + element_ + partial.behind;
  parts.push_back(std::move(part));
  given_ = true;
  given_arguments_ = partial.arguments.size();
  given_behind_ = partial.behind;
}

void OutputParser::close_call(const CallScanner::End& end, Parts& parts) {
  // A text that left the form may turn out to end before what is out already.
  const std::size_t behind = element_ + std::max(end.behind, given_ ? given_behind_ : 0);
  state_ = State::kContent;
  if (!end.call && !given_) {
    emit(OutputPart::Kind::kContent, behind, parts);
    return;
  }
  const std::string_view arguments = end.call ? std::string_view(end.call->arguments) : std::string_view();
  if (!given_) {
    parts.push_back({OutputPart::Kind::kToolCall, std::string(arguments), end.call->name, place_ + element_,
                     place_ + behind});
  } else if (end.behind > given_behind_) {
    parts.push_back({OutputPart::Kind::kToolArguments,
                     std::string(arguments.substr(std::min(given_arguments_, arguments.size()))), "",
                     place_ + element_ + given_behind_, place_ + behind});
  }
  drop(behind);
  given_ = false;
  if (end.call) ++calls_;
  newlines_ = !wrote_content_;
}

void OutputParser::finish_held(Parts& parts) {
  if (state_ == State::kStart && format_.reasoning == Reasoning::kOpen) {
    state_ = State::kReasoning;
    newlines_ = true;
  }
  drop_newlines();
  if (state_ == State::kReasoning) {
    emit(OutputPart::Kind::kReasoning, size_without(held_, "\n"), parts);
    drop(held_.size());
    reasoning_end_ = place_;
    state_ = State::kContent;
    return;
  }
  if (scanner_ && format_.calls_alone) drop(held_.size());
  if (calls_ > 0) drop(held_.find_first_not_of(scanner_->filler()) == std::string::npos ? held_.size() : 0);
  emit(OutputPart::Kind::kContent, held_.size(), parts);
}

void OutputParser::emit(OutputPart::Kind kind, std::size_t size, Parts& parts) {
  if (size == 0) return;
  parts.push_back({kind, held_.substr(0, size), "", place_, place_ + size});
  wrote_content_ = wrote_content_ || kind == OutputPart::Kind::kContent;
  drop(size);
}

void OutputParser::drop(std::size_t size) {
  held_.erase(0, size);
  place_ += size;
}

void OutputParser::drop_newlines() {
  if (!newlines_) return;
  drop(std::min(held_.find_first_not_of('\n'), held_.size()));
  newlines_ = held_.empty();
}

}  // namespace kakeya::dialog
