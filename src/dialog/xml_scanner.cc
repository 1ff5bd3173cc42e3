// <tool_call><function=f><parameter=a>value</parameter></function></tool_call>, as Qwen3-Coder writes it. The
// outer tags may be missing: the models are known to forget them.
#include <algorithm>
#include <array>
#include <string>

#include "dialog/call_scanner.h"

namespace kakeya::dialog {
namespace {

constexpr std::string_view kFunction = "<function=", kFunctionEnd = "</function>";
constexpr std::string_view kParameter = "<parameter=", kParameterEnd = "</parameter>";

class XmlScanner final : public CallScanner {
 public:
  explicit XmlScanner(std::shared_ptr<const ToolSchemas> tools) : tools_(std::move(tools)) {}

  Begin find(std::string_view text) override {
    stage_ = Stage::kOpen;
    at_ = 0;
    name_.clear();
    arguments_ = "{";
    const std::size_t at = std::min(text.find(kCallTag), text.find(kFunction));
    if (at != std::string_view::npos) return {at, true};
    return {text.size() - std::max(cut_tag(text, kCallTag), cut_tag(text, kFunction)), false};
  }

  std::optional<End> read(std::string_view text) override {
    while (step(text)) {
    }
    if (stage_ == Stage::kDone) return End{at_, made()};
    if (stage_ != Stage::kBroken) return std::nullopt;
    // A function without the outer tag is only text when it does not go on as one.
    if (!text.starts_with(kCallTag)) return End{kFunction.size(), std::nullopt};
    const std::size_t end = text.find(kCallEndTag, at_);
    if (end == std::string_view::npos) return std::nullopt;
    return End{end + kCallEndTag.size(),
               parse_tool_call(text.substr(kCallTag.size(), end - kCallTag.size()))};
  }

  End read_last(std::string_view text) override {
    if (stage_ == Stage::kAfter) return {text.size(), made()};  // only the outer end tag is missing
    return {text.size(), std::nullopt};
  }

  Partial partial(std::string_view text) override {
    const bool begun = stage_ == Stage::kBetween || stage_ == Stage::kKey || stage_ == Stage::kValue ||
                       stage_ == Stage::kAfter;
    if (!begun || !text.starts_with(kCallTag)) return {};  // without the outer tag it may be text
    return {name_, arguments_, settled_};
  }

 private:
  enum class Stage {
    kOpen,     // at the outer tag, or at <function=
    kName,     // behind <function=
    kBetween,  // before a parameter or the end of the function
    kKey,      // behind <parameter=
    kValue,    // value_ is where the value begins, at_ how far it was searched
    kAfter,    // behind </function>
    kDone,
    kBroken,
  };

  ParsedCall made() const { return {name_, arguments_ + "}", true}; }

  // True when another step may follow.
  bool step(std::string_view text) {
    switch (stage_) {
      case Stage::kOpen:
        if (at_ == 0 && text.starts_with(kCallTag)) at_ = kCallTag.size();
        return take(text, {{{kFunction, Stage::kName}}});
      case Stage::kName:
        if (!word(text, name_, Stage::kBetween)) return false;
        settled_ = at_;
        return true;
      case Stage::kBetween:
        return take(
            text, {{{kParameter, Stage::kKey}, {kFunctionEnd, Stage::kAfter}, {kCallEndTag, Stage::kDone}}});
      case Stage::kKey:
        if (!word(text, key_, Stage::kValue)) return stage_ == Stage::kBroken;
        value_ = at_;
        return true;
      case Stage::kValue:
        return value(text);
      case Stage::kAfter:
        return after(text);
      case Stage::kDone:
      case Stage::kBroken:
        break;
    }
    return false;
  }

  struct Way {
    std::string_view tag;
    Stage next = Stage::kBroken;
  };
  // White space, then one of the tags.
  bool take(std::string_view text, const std::array<Way, 3>& ways) {
    const std::size_t first = text.find_first_not_of(kSpace, at_);
    if (first == std::string_view::npos) return false;
    const std::string_view rest = text.substr(first);
    for (const Way& way : ways) {
      if (way.tag.empty()) continue;
      if (rest.starts_with(way.tag)) {
        at_ = first + way.tag.size();
        stage_ = way.next;
        return true;
      }
      if (way.tag.starts_with(rest)) return false;
    }
    stage_ = Stage::kBroken;
    return false;
  }

  // A name up to '>'.
  bool word(std::string_view text, std::string& out, Stage next) {
    const std::size_t end = text.find_first_of(">\n<", at_);
    if (end == std::string_view::npos) return false;
    const bool good = text[end] == '>' && end > at_;
    out = text.substr(at_, end - at_);
    stage_ = good ? next : Stage::kBroken;
    at_ = good ? end + 1 : at_;
    return good;
  }

  // A value ends where its end tag is followed by what may follow a parameter: else the tag is text of it.
  bool value(std::string_view text) {
    for (;;) {
      const std::size_t end = text.find(kParameterEnd, at_);
      if (end == std::string_view::npos) {
        at_ = std::max(value_, text.size() - cut_tag(text, kParameterEnd));
        return false;
      }
      at_ = end;
      const std::size_t behind = end + kParameterEnd.size();
      const std::size_t next = text.find_first_not_of(kSpace, behind);
      if (next == std::string_view::npos) return false;
      const std::string_view rest = text.substr(next);
      for (const std::string_view tag : {kParameter, kFunctionEnd, kCallEndTag}) {
        if (rest.starts_with(tag)) return keep(text.substr(value_, end - value_), behind);
        if (tag.starts_with(rest)) return false;
      }
      at_ = behind;
    }
  }
  bool keep(std::string_view value, std::size_t behind) {
    if (value.starts_with('\n')) value.remove_prefix(1);
    if (value.ends_with('\n')) value.remove_suffix(1);
    if (arguments_.size() > 1) arguments_ += ", ";
    arguments_ += json_string(key_) + ": ";
    arguments_ += tools_ ? tools_->argument(name_, key_, value) : json_string(value);
    at_ = settled_ = behind;
    stage_ = Stage::kBetween;
    return true;
  }

  // The outer end tag belongs to the call; without it the call ends all the same.
  bool after(std::string_view text) {
    const std::size_t next = text.find_first_not_of(kSpace, at_);
    if (next == std::string_view::npos) return false;
    const std::string_view rest = text.substr(next);
    if (!rest.starts_with(kCallEndTag) && kCallEndTag.starts_with(rest)) return false;
    if (rest.starts_with(kCallEndTag)) at_ = next + kCallEndTag.size();
    stage_ = Stage::kDone;
    return false;
  }

  std::shared_ptr<const ToolSchemas> tools_;
  Stage stage_ = Stage::kOpen;
  std::size_t at_ = 0, value_ = 0;
  std::size_t settled_ = 0;  // what name_ and arguments_ were read from ends here
  std::string name_, key_;
  std::string arguments_;  // as JSON, parameter by parameter; the last '}' is missing
};

}  // namespace

std::unique_ptr<CallScanner> new_xml_scanner(std::shared_ptr<const ToolSchemas> tools) {
  return std::make_unique<XmlScanner>(std::move(tools));
}

}  // namespace kakeya::dialog
