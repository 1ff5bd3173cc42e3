// An answer on its way to the terminal: text as it comes, reasoning dimmed, drafted tokens marked; and what
// is left of it afterwards.
#pragma once
#include <cstdio>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "dialog/dialog.h"

namespace kakeya::cli {

struct ViewOptions {
  bool show = true;         // false: nothing is printed (--json)
  bool reasoning = false;   // print it, dimmed in colour
  bool acceptance = false;  // mark the tokens that came from the draft
  bool colour = false;
};
// "auto", "always" or "never"; auto: stdout is a terminal and NO_COLOR is not set.
bool wants_colour(const std::string& when);

struct Answered {
  std::string content, reasoning;
  std::vector<Token> ids;             // of content and reasoning
  std::vector<std::uint8_t> drafted;  // of ids
  std::size_t prompt_tokens = 0, cached_tokens = 0;
  double first_ms = 0;  // submit to the first text
  dialog::Summary summary;
};

// Text in pieces, in which some bytes are of drafted tokens.
class MarkedText {
 public:
  MarkedText(const Engine& engine, bool marked, bool colour)
      : engine_(engine), marked_(marked), colour_(colour) {}
  void write(const dialog::AnswerPart& part, bool dim);
  void close();  // ends what is open

 private:
  struct Piece {
    std::string bytes;
    bool drafted = false;
  };
  void style(bool drafted, bool dim);

  const Engine& engine_;
  bool marked_, colour_;
  std::deque<Piece> pending_;  // bytes of tokens whose text is not yet all written
  bool drafted_ = false, dim_ = false;
};

// Follows the reply to its end; the first Ctrl-C cancels it (finish kCancelled). Errors: the reply's own.
Result<Answered> follow(const Engine& engine, dialog::Reply& reply, const ViewOptions& options);

// Verify passes with a draft, and tokens that a cycle gave on average; 0 where nothing was drafted.
struct CycleSums {
  std::size_t cycles = 0, proposed = 0, accepted = 0;
  double acceptance_length = 0;
};
CycleSums sum_cycles(const std::vector<Cycle>& cycles);

double tokens_per_second(const Completion& completion);
// "[42 tokens, stop; first after 12 ms, then ...]"
std::string stats_line(const Answered& answer, std::size_t kv_bytes);
nlohmann::ordered_json answer_json(const Engine& engine, const Answered& answer, std::size_t kv_bytes);

}  // namespace kakeya::cli
