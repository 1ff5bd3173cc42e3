// The text that a model wrote, taken apart while it arrives: reasoning, content, tool calls. What comes out,
// joined, does not depend on where the text was cut. Knows no tokens: parts say which bytes they stand for.
#pragma once
#include <kakeya/constraint.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dialog/call_scanner.h"

namespace kakeya::dialog {

enum class Reasoning {
  kNone,     // none is looked for
  kMayOpen,  // the output may begin with <think>
  kOpen,     // the prompt ends inside it: the output has only </think>
};

struct OutputFormat {
  Reasoning reasoning = Reasoning::kNone;
  bool tool_calls = false;  // calls outside the reasoning are taken out
  ToolFormat tool_format = ToolFormat::kQwen3;
  std::shared_ptr<const ToolSchemas> tools = nullptr;
  // Calls come out while they are written, for models that a constraint holds to the form: one that the
  // output's end cuts is out by then.
  bool stream_calls = false;
  bool calls_alone = false;  // nothing but calls may come: a tag that was cut is no content either
};

struct OutputPart {
  enum class Kind {
    kReasoning,
    kContent,
    kToolCall,       // text: its arguments as JSON, as the model wrote them where it wrote JSON
    kToolArguments,  // text: more of the arguments of the call before; may be empty
  };
  Kind kind = Kind::kContent;
  std::string text;
  std::string tool_name;           // kToolCall
  std::size_t begin = 0, end = 0;  // bytes of the whole output
};

// Left out: the tags, new lines around the reasoning and after it, white space before a call and at the end
// after one. A call that is none after all comes back as content, tags and all, and so does one that the
// output's end cut; with `stream_calls`, where it can be nothing but a call, what is not out yet is dropped.
// A call comes out when it is complete (its end was seen, or only its outer end tag is missing), or with
// `stream_calls` in pieces.
class OutputParser {
 public:
  explicit OutputParser(OutputFormat format);

  // Appends what is settled. Text that may be the start of a tag stays here.
  void push(std::string_view text, std::vector<OutputPart>& parts);
  // The output is over: gives out what was held back. Nothing may be pushed after it.
  void finish(std::vector<OutputPart>& parts);

  std::size_t calls() const { return calls_; }  // complete ones
  // Where the reasoning ended, its end tag included, or ends so far; 0 without any.
  std::size_t reasoning_end() const;

 private:
  enum class State { kStart, kReasoning, kContent, kCall };
  using Parts = std::vector<OutputPart>;

  // Each goes as far as it can; true when another state may go on.
  bool step(Parts& parts);
  bool read_start();
  bool read_reasoning(Parts& parts);
  bool read_content(Parts& parts);
  bool read_call(Parts& parts);
  void give_partial(Parts& parts);
  void close_call(const CallScanner::End& end, Parts& parts);
  void finish_held(Parts& parts);

  void emit(OutputPart::Kind kind, std::size_t size, Parts& parts);  // the first bytes held
  void drop(std::size_t size);
  void drop_newlines();

  OutputFormat format_;
  State state_;
  std::string held_;       // not given out yet
  std::size_t place_ = 0;  // of held_ in the output
  bool newlines_ = false;  // to be dropped where held_ begins
  bool wrote_content_ = false;
  std::size_t reasoning_end_ = 0, calls_ = 0;

  std::unique_ptr<CallScanner> scanner_;  // null where no calls are looked for
  std::size_t element_ = 0;               // kCall: held_ is white space, and from here on the call
  bool given_ = false;                    // the call's name is out, and
  std::size_t given_arguments_ = 0, given_behind_ = 0;  // so much of its arguments and of its text
};

}  // namespace kakeya::dialog
