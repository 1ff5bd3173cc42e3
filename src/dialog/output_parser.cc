#include "dialog/output_parser.h"

#include <algorithm>

#include "dialog/tool_call.h"

namespace kakeya::dialog {
namespace {

constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";
constexpr std::string_view kCall = "<tool_call>", kCallEnd = "</tool_call>";
constexpr std::string_view kSpace = " \t\r\n";

// The length of the longest end of `text` that a tag may begin with; the whole tag does not count.
std::size_t cut_tag(std::string_view text, std::string_view tag) {
  for (std::size_t length = std::min(text.size(), tag.size() - 1); length > 0; --length) {
    if (text.ends_with(tag.substr(0, length))) return length;
  }
  return 0;
}

// The size of `text` without those of `characters` that it ends with.
std::size_t size_without(std::string_view text, std::string_view characters) {
  return text.find_last_not_of(characters) + 1;  // npos + 1 is 0
}

}  // namespace

OutputParser::OutputParser(OutputFormat format)
    : format_(format), state_(format.reasoning == Reasoning::kNone ? State::kContent : State::kStart) {}

void OutputParser::push(std::string_view text, Parts& parts) {
  held_ += text;
  while (step(parts)) {
  }
}

void OutputParser::finish(Parts& parts) {
  while (state_ == State::kCall && finish_call(parts)) {
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
  if (!format_.tool_calls) {
    emit(OutputPart::Kind::kContent, held_.size(), parts);
    return false;
  }
  const std::size_t call = held_.find(kCall);
  const bool called = call != std::string::npos;
  const std::string_view text =
      std::string_view(held_).substr(0, called ? call : held_.size() - cut_tag(held_, kCall));
  emit(OutputPart::Kind::kContent, size_without(text, kSpace), parts);
  if (!called) return false;
  state_ = State::kCall;
  element_ = held_.find(kCall);
  scanned_ = body_ = element_ + kCall.size();
  quoted_ = false;
  quoted_end_tag_ = std::string::npos;
  return true;
}

bool OutputParser::read_call(Parts& parts) {
  for (; scanned_ < held_.size(); ++scanned_) {
    const char c = held_[scanned_];
    if (c == '<') {
      const std::string_view rest = std::string_view(held_).substr(scanned_);
      if (rest.size() < kCallEnd.size() && kCallEnd.starts_with(rest)) return false;
      if (rest.starts_with(kCallEnd)) {
        if (!quoted_ || !trust_quotes_) {
          close_call(scanned_, scanned_ + kCallEnd.size(), parts);
          return true;
        }
        quoted_end_tag_ = std::min(quoted_end_tag_, scanned_);
      }
    } else if (c == '"') {
      quoted_ = !quoted_;
    } else if (c == '\\' && quoted_) {
      if (scanned_ + 1 == held_.size()) return false;
      const char escaped = held_[scanned_ + 1];
      if (escaped == '"' || escaped == '\\') ++scanned_;
    }
  }
  return false;
}

// The element's JSON ends at `end`, the element before `behind`.
void OutputParser::close_call(std::size_t end, std::size_t behind, Parts& parts) {
  const auto call = parse_tool_call(std::string_view(held_).substr(body_, end - body_));
  state_ = State::kContent;
  if (!call) {
    emit(OutputPart::Kind::kContent, behind, parts);
    return;
  }
  parts.push_back(
      {OutputPart::Kind::kToolCall, call->arguments, call->name, place_ + element_, place_ + behind});
  drop(behind);
  ++calls_;
  newlines_ = !wrote_content_;
}

// The output ended inside an element. True when text behind it is still to be read.
bool OutputParser::finish_call(Parts& parts) {
  const std::size_t end = held_.size() - cut_tag(held_, kCallEnd);
  const bool whole = parse_tool_call(std::string_view(held_).substr(body_, end - body_)).has_value();
  if (whole || quoted_end_tag_ == std::string::npos) {
    close_call(end, held_.size(), parts);
    return false;
  }
  // A quote without its partner hid the end tag. From here on the first end tag counts, which also keeps the
  // work linear.
  trust_quotes_ = false;
  close_call(quoted_end_tag_, quoted_end_tag_ + kCallEnd.size(), parts);
  return true;
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
  if (calls_ > 0) drop(held_.find_first_not_of(kSpace) == std::string::npos ? held_.size() : 0);
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
