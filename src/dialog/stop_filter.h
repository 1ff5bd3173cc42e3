// Stop strings in what an answer shows: the content alone, not the reasoning and not the text of calls.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "dialog/output_parser.h"

namespace kakeya::dialog {

class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);

  // Appends what may be shown; content that may still become a stop string stays here. A part that is no
  // content ends a stop string that had only begun. Of several the earliest wins; of two at the same place
  // the one that is complete first. Once one was found nothing comes out any more.
  void pass(OutputPart part, std::vector<OutputPart>& out);
  // What was held back, when no stop string came.
  void finish(std::vector<OutputPart>& out);

  const std::optional<std::string>& found() const { return found_; }
  std::size_t end() const { return end_; }  // behind the stop string found, in bytes of the whole output

 private:
  void release(std::size_t size, std::vector<OutputPart>& out);  // the first bytes held
  std::size_t place(
      std::size_t at) const;  // of the byte before `at` of what is held, in the output, plus one

  std::vector<std::string> stops_;  // none is empty
  std::deque<OutputPart> held_;
  std::string text_;  // of held_
  std::optional<std::string> found_;
  std::size_t end_ = 0;
};

}  // namespace kakeya::dialog
