// <tool_call>{"name": "f", "arguments": {...}}</tool_call>
#include "dialog/call_scanner.h"

#include <algorithm>

#include "dialog/call_head.h"

namespace kakeya::dialog {
namespace {

class JsonScanner final : public CallScanner {
 public:
  Begin find(std::string_view text) override {
    const std::size_t at = text.find(kCallTag);
    scanned_ = kCallTag.size();
    quoted_ = false;
    quoted_end_ = std::string_view::npos;
    head_ = {};
    if (at != std::string_view::npos) return {at, true};
    return {text.size() - cut_tag(text, kCallTag), false};
  }

  std::optional<End> read(std::string_view text) override {
    for (; scanned_ < text.size(); ++scanned_) {
      const char c = text[scanned_];
      if (c == '<') {
        const std::string_view rest = text.substr(scanned_);
        if (rest.size() < kCallEndTag.size() && kCallEndTag.starts_with(rest)) return std::nullopt;
        if (rest.starts_with(kCallEndTag)) {
          if (!quoted_ || !trust_quotes_) return closed(text, scanned_, scanned_ + kCallEndTag.size());
          quoted_end_ = std::min(quoted_end_, scanned_);
        }
      } else if (c == '"') {
        quoted_ = !quoted_;
      } else if (c == '\\' && quoted_) {
        if (scanned_ + 1 == text.size()) return std::nullopt;
        const char escaped = text[scanned_ + 1];
        if (escaped == '"' || escaped == '\\') ++scanned_;
      }
    }
    return std::nullopt;
  }

  End read_last(std::string_view text) override {
    const End all = closed(text, text.size() - cut_tag(text, kCallEndTag), text.size());
    if (all.call || quoted_end_ == std::string_view::npos) return all;
    // A quote without its partner hid the end tag. From here on the first end tag counts, which also keeps
    // the work linear.
    trust_quotes_ = false;
    return closed(text, quoted_end_, quoted_end_ + kCallEndTag.size());
  }

  Partial partial(std::string_view text) override {
    Partial out = head_.look(text.substr(kCallTag.size()), "arguments");
    out.behind += kCallTag.size();
    return out;
  }

 private:
  // The element's JSON ends at `end`.
  static End closed(std::string_view text, std::size_t end, std::size_t behind) {
    return {behind, parse_tool_call(text.substr(kCallTag.size(), end - kCallTag.size()))};
  }

  CallHead head_;
  std::size_t scanned_ = 0;
  bool quoted_ = false;                              // at scanned_, inside a JSON string
  std::size_t quoted_end_ = std::string_view::npos;  // the first end tag inside a JSON string
  bool trust_quotes_ = true;                         // false once quotes turned out not to pair
};

}  // namespace

std::size_t cut_tag(std::string_view text, std::string_view tag) {
  for (std::size_t length = std::min(text.size(), tag.size() - 1); length > 0; --length) {
    if (text.ends_with(tag.substr(0, length))) return length;
  }
  return 0;
}

std::unique_ptr<CallScanner> new_json_scanner() { return std::make_unique<JsonScanner>(); }

std::unique_ptr<CallScanner> new_call_scanner(ToolFormat format, std::shared_ptr<const ToolSchemas> tools) {
  switch (format) {
    case ToolFormat::kQwen3Coder:
      return new_xml_scanner(std::move(tools));
    case ToolFormat::kLlama3:
      return new_bare_scanner(std::move(tools));
    case ToolFormat::kQwen3:
      break;
  }
  return new_json_scanner();
}

}  // namespace kakeya::dialog
