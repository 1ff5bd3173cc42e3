// The text that a model wrote, taken apart while it arrives: reasoning, content, tool calls. What comes out,
// joined, does not depend on where the text was cut. Knows no tokens: parts say which bytes they stand for.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya::dialog {

enum class Reasoning {
  kNone,     // none is looked for
  kMayOpen,  // the output may begin with <think>
  kOpen,     // the prompt ends inside it: the output has only </think>
};

struct OutputFormat {
  Reasoning reasoning = Reasoning::kNone;
  bool tool_calls = false;  // <tool_call> elements outside the reasoning are calls
};

struct OutputPart {
  enum class Kind { kReasoning, kContent, kToolCall };
  Kind kind = Kind::kContent;
  std::string text;                // of a call: its arguments, as the model wrote them
  std::string tool_name;           // kToolCall
  std::size_t begin = 0, end = 0;  // bytes of the whole output
};

// Left out: the tags, new lines around the reasoning and after it, white space before a call and at the end
// after one. A call that is no JSON object with a name comes back as content, tags and all. A call comes out
// when it is complete: its end tag was seen outside of a JSON string, or the output ended behind its JSON.
class OutputParser {
 public:
  explicit OutputParser(OutputFormat format);

  // Appends what is settled. Text that may be the start of a tag stays here.
  void push(std::string_view text, std::vector<OutputPart>& parts);
  // The output is over: gives out what was held back. Nothing may be pushed after it.
  void finish(std::vector<OutputPart>& parts);

  std::size_t calls() const { return calls_; }
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
  void close_call(std::size_t end, std::size_t behind, Parts& parts);
  bool finish_call(Parts& parts);
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

  // kCall: held_ is white space, <tool_call> and what followed.
  std::size_t element_ = 0, body_ = 0;  // where the tag begins and where it ends
  std::size_t scanned_ = 0;
  bool quoted_ = false;                             // at scanned_, inside a JSON string
  std::size_t quoted_end_tag_ = std::string::npos;  // the first end tag inside a JSON string
  bool trust_quotes_ = true;                        // false once quotes turned out not to pair
};

}  // namespace kakeya::dialog
