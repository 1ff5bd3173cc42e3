// Lines from a person or from a script. On a terminal: editing and history (libedit).
#pragma once
#include <memory>
#include <string>

namespace kakeya::cli {

class LineReader {
 public:
  enum class Outcome {
    kLine,
    kInterrupted,  // Ctrl-C; what was typed is gone
    kEnd,          // Ctrl-D on an empty line, or the end of a script
  };

  virtual ~LineReader() = default;
  virtual bool interactive() const = 0;
  // `line` without its newline.
  virtual Outcome read(const std::string& prompt, std::string& line) = 0;
};

// Interactive when stdin and stdout are terminals; the history is kept in `history_file`, empty = nowhere.
// catch_interrupts() or rearm_interrupts() was called.
std::unique_ptr<LineReader> make_line_reader(const std::string& history_file);

// One message: lines joined where one ends with a backslash, and everything between two """ marks. `prompt`
// is for the first line.
LineReader::Outcome read_message(LineReader& reader, const std::string& prompt, std::string& message);

}  // namespace kakeya::cli
