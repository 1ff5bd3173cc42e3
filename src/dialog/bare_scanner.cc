// {"name": "f", "parameters": {...}} as the whole answer, several joined by ';', as Llama-3.1 and 3.2 write
// it. Not every JSON object is a call: it is one when it names one of the tools and has parameters.
#include <algorithm>

#include "dialog/call_head.h"
#include "dialog/call_scanner.h"
#include "dialog/json_end.h"

namespace kakeya::dialog {
namespace {

constexpr std::string_view kPythonTag =
    "<|python_tag|>";  // models may begin with it; mostly no text shows it
constexpr std::string_view kKeys[] = {"name", "parameters", "arguments", "type"};  // an object's first

class BareScanner final : public CallScanner {
 public:
  explicit BareScanner(std::shared_ptr<const ToolSchemas> tools) : tools_(std::move(tools)) {}

  Begin find(std::string_view text) override {
    if (over_) return {text.size(), false};
    std::size_t begin = skip(text, 0);
    std::size_t at = begin;
    if (calls_ > 0 && at < text.size() && text[at] == ';') at = skip(text, at + 1);
    const std::string_view rest = text.substr(at);
    if (rest.size() < kPythonTag.size() && kPythonTag.starts_with(rest))
      return {begin, false};  // or nothing yet
    if (rest.starts_with(kPythonTag)) at = skip(text, at + kPythonTag.size());
    if (at == text.size()) return {begin, false};
    if (text[at] == '{') {
      object_ = at - begin;
      end_ = JsonEnd(object_);
      head_ = {};
      return {begin, true};
    }
    over_ = true;
    return {text.size(), false};
  }

  std::optional<End> read(std::string_view text) override {
    if (!may_be_call(text.substr(object_))) return no_call(object_ + 1);
    const std::size_t end = end_.find(text);
    if (end == std::string_view::npos) return std::nullopt;
    return closed(text, end);
  }

  End read_last(std::string_view text) override { return no_call(text.size()); }

  Partial partial(std::string_view text) override {
    Partial out = head_.look(text.substr(object_), "parameters");
    out.behind += object_;
    return out;
  }

  std::string_view filler() const override { return calls_ > 0 ? " \t\r\n;" : kSpace; }

 private:
  static std::size_t skip(std::string_view text, std::size_t at) {
    return std::min(text.find_first_not_of(kSpace, at), text.size());
  }

  // From here on the answer is text.
  End no_call(std::size_t behind) {
    over_ = true;
    return {behind, std::nullopt};
  }

  End closed(std::string_view text, std::size_t end) {
    auto call = parse_tool_call(text.substr(object_, end - object_));
    if (!call || !call->has_arguments || !is_known(call->name)) return no_call(end);
    ++calls_;
    return {end, std::move(call)};
  }

  bool is_known(std::string_view name) const { return tools_ && tools_->has(name); }

  // False as soon as the object's beginning rules a call out, so that other JSON is not held back.
  bool may_be_call(std::string_view object) const {
    std::string_view rest = object.substr(1);
    const auto skip_to = [&](char c) {  // white space, then c; 0 = not yet, -1 = something else
      const std::size_t at = rest.find_first_not_of(kSpace);
      if (at == std::string_view::npos) return 0;
      if (rest[at] != c) return -1;
      rest.remove_prefix(at + 1);
      return 1;
    };
    if (const int found = skip_to('"'); found <= 0) return found == 0;
    const std::size_t key_end = rest.find('"');
    const std::string_view key = rest.substr(0, key_end);
    const auto begins = [&](std::string_view word) {
      return key_end == std::string_view::npos ? word.starts_with(key) : word == key;
    };
    if (std::none_of(std::begin(kKeys), std::end(kKeys), begins)) return false;
    if (key_end == std::string_view::npos || key != "name") return true;
    rest.remove_prefix(key_end + 1);
    if (const int found = skip_to(':'); found <= 0) return found == 0;
    if (const int found = skip_to('"'); found <= 0) return found == 0;
    const std::size_t name_end = rest.find('"');
    const std::string_view name = rest.substr(0, name_end);
    if (name.find('\\') != std::string_view::npos) return true;
    return name_end == std::string_view::npos ? tools_ && tools_->has_beginning(name) : is_known(name);
  }

  std::shared_ptr<const ToolSchemas> tools_;
  CallHead head_;
  bool over_ = false;  // no call may begin any more
  std::size_t calls_ = 0, object_ = 0;
  JsonEnd end_;
};

}  // namespace

std::unique_ptr<CallScanner> new_bare_scanner(std::shared_ptr<const ToolSchemas> tools) {
  return std::make_unique<BareScanner>(std::move(tools));
}

}  // namespace kakeya::dialog
