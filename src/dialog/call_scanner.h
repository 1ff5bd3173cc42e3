// Calls of tools in the text of an answer, found while it arrives: one scanner for each form (ToolFormat).
#pragma once
#include <kakeya/constraint.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "dialog/tool_call.h"
#include "dialog/tool_schemas.h"

namespace kakeya::dialog {

inline constexpr std::string_view kCallTag = "<tool_call>", kCallEndTag = "</tool_call>";
inline constexpr std::string_view kSpace = " \t\r\n";

class CallScanner {
 public:
  virtual ~CallScanner() = default;

  // Where the next call begins in text that holds none so far. Not found: the end of the text, or before it
  // where its end may turn out to begin one.
  struct Begin {
    std::size_t at = 0;
    bool found = false;
  };
  virtual Begin find(std::string_view text) = 0;

  // `text` begins at a Begin and grows from call to call. Nothing: more is needed. Without `call` the bytes
  // before `behind` were none.
  struct End {
    std::size_t behind = 0;
    std::optional<ParsedCall> call;
  };
  virtual std::optional<End> read(std::string_view text) = 0;
  // The same when no more comes.
  virtual End read_last(std::string_view text) = 0;

  // Of the call that is being read: its name, and as much of its arguments as no more text can change.
  // Without a name nothing is settled yet. Texts that leave the form later cannot be told: for those who know
  // that the model is held to it.
  struct Partial {
    std::string_view name, arguments;
    std::size_t behind = 0;  // the bytes that these stand for
  };
  virtual Partial partial(std::string_view text) = 0;

  // What may stand between calls and at the end, and means nothing.
  virtual std::string_view filler() const { return kSpace; }
};

// `tools` may be null: names and types are not known then. kLlama3 takes only calls of known tools.
std::unique_ptr<CallScanner> new_call_scanner(ToolFormat format, std::shared_ptr<const ToolSchemas> tools);

// The length of the longest end of `text` that `tag` may begin with; the whole tag does not count.
std::size_t cut_tag(std::string_view text, std::string_view tag);

// The three forms.
std::unique_ptr<CallScanner> new_json_scanner();
std::unique_ptr<CallScanner> new_xml_scanner(std::shared_ptr<const ToolSchemas> tools);
std::unique_ptr<CallScanner> new_bare_scanner(std::shared_ptr<const ToolSchemas> tools);

}  // namespace kakeya::dialog
