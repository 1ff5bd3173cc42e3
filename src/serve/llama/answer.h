// Answers of POST /completion as JSON, whole and piece by piece, with llama-server's names.
#pragma once
#include <cstddef>
#include <vector>

#include "serve/drive.h"
#include "serve/json.h"
#include "serve/llama/request.h"

namespace kakeya::serve::llama {

// What is in effect for prompt `prompt` of the call.
Json settings_json(const CompletionCall& call, std::size_t prompt, const dialog::Summary& summary,
                   const Context& context);

// Answer `index` of the call. `streamed`: its text, tokens and probabilities went out before.
Json whole_json(const CompletionCall& call, std::size_t index, const WholeAnswer& answer, bool streamed,
                const Context& context);

// Answers while they are made.
class PartialAnswers {
 public:
  PartialAnswers(const CompletionCall& call, const Context& context);
  // The events for a part: one a token.
  std::vector<Json> add(std::size_t index, const dialog::AnswerPart& part);

 private:
  struct State {
    WholeAnswer so_far;
    Usage usage;
    int slot = 0;
    std::size_t drafted = 0;  // tokens so far that the draft proposed
    double first_ms = 0;
  };
  void count(State& state, const dialog::AnswerPart& part);
  Json token(std::size_t index, const dialog::AnswerPart& part);
  Json head(std::size_t index) const;

  const CompletionCall& call_;
  const Context& context_;
  std::vector<State> states_;
};

}  // namespace kakeya::serve::llama
