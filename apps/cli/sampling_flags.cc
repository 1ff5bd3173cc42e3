#include "cli/sampling_flags.h"

#include <limits>

namespace kakeya::cli {

void add_answer_flags(CLI::App* command, AnswerFlags& flags) {
  dialog::Sampling& sampling = flags.sampling;
  command
      ->add_option("-n,--max-tokens", flags.max_tokens,
                   "tokens to make at most (default: what fits the context)")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()));
  command->add_option("--temperature", sampling.temperature,
                      "0 = greedy; default: what the model's publisher asks for, else 0");
  command->add_option("--top-k", sampling.top_k, "0 = off; default as above");
  command->add_option("--top-p", sampling.top_p, "1 = off; default as above");
  command->add_option("--min-p", sampling.min_p, "0 = off; default as above");
  command->add_option("--repetition-penalty", sampling.repetition_penalty, "1 = off; default as above");
  command->add_option("--seed", sampling.seed, "of the sampling; default: drawn, --json reports it");
  command->add_option("--stop", flags.stop, "text that ends the answer, not shown; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--thinking", flags.thinking,
                    "let the model think first (off by default: the published Qwen3 drafts are trained "
                    "without it)");
}

}  // namespace kakeya::cli
