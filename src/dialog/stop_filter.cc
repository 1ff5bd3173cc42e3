#include "dialog/stop_filter.h"

#include <algorithm>
#include <utility>

#include "dialog/call_scanner.h"

namespace kakeya::dialog {

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

void StopFilter::pass(OutputPart part, std::vector<OutputPart>& out) {
  if (found_) return;
  if (part.kind != OutputPart::Kind::kContent) {
    finish(out);
    out.push_back(std::move(part));
    return;
  }
  text_ += part.text;
  held_.push_back(std::move(part));
  std::size_t first = std::string::npos, end = std::string::npos;
  const std::string* which = nullptr;
  std::size_t begun = 0;
  for (const std::string& stop : stops_) {
    begun = std::max(begun, cut_tag(text_, stop));
    const std::size_t at = text_.find(stop);
    if (at == std::string::npos || at > first || (at == first && at + stop.size() >= end)) continue;
    first = at;
    end = at + stop.size();
    which = &stop;
  }
  if (which == nullptr) return release(text_.size() - begun, out);
  found_ = *which;
  end_ = place(end);
  release(first, out);
}

void StopFilter::finish(std::vector<OutputPart>& out) {
  if (!found_) release(text_.size(), out);
}

void StopFilter::release(std::size_t size, std::vector<OutputPart>& out) {
  text_.erase(0, size);
  while (size > 0) {
    OutputPart& part = held_.front();
    if (part.text.size() <= size) {
      size -= part.text.size();
      out.push_back(std::move(part));
      held_.pop_front();
      continue;
    }
    OutputPart head = part;
    head.text.resize(size);
    head.end = part.begin = part.begin + size;
    part.text.erase(0, size);
    out.push_back(std::move(head));
    size = 0;
  }
}

std::size_t StopFilter::place(std::size_t at) const {
  for (const OutputPart& part : held_) {
    if (at <= part.text.size()) return part.begin + at;
    at -= part.text.size();
  }
  return held_.back().end;
}

}  // namespace kakeya::dialog
