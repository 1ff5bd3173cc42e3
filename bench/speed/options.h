// What a speed benchmark is asked to do, and the lists its flags take.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kakeya::speed {

struct Options {
  std::vector<std::string> models;  // as Engine::open takes them: directory, GGUF, "tiny", "random:..."
  std::string draft;                // likewise; empty = none
  std::vector<std::size_t> prompts = {512};
  std::vector<std::size_t> gens = {128};
  std::vector<std::pair<std::size_t, std::size_t>> prompt_gens;
  std::vector<std::size_t> depths = {0};
  std::vector<std::size_t> rows = {1, 2, 4, 8, 16, 32};
  std::vector<std::string> kv = {"bf16"};
  std::string draft_kv = "bf16";
  std::vector<std::size_t> threads = {0};  // 0 = every core this process may use
  std::string isa;                         // empty = the best one
  std::size_t block_size = 0;              // of the draft; 0 = its own
  std::size_t repetitions = 5;
  std::size_t delay_s = 0;  // before every test
  bool warmup = true;
  std::string format = "md";
  std::optional<double> simulated_tokens;  // mean tokens a cycle emits; set: simulated cycles are run
  std::uint64_t probe_bytes = 0;           // buffer of the memory probe; 0 = up to 1 GiB
};

// "512", "16,32", "1-4" (1,2,3,4), "64-256+64" (64,128,192,256), "1-32*2" (1,2,4,8,16,32), in any mix.
// Errors: kInvalidArgument naming `flag` and the part that is wrong.
Result<std::vector<std::size_t>> parse_counts(const char* flag, std::string_view text);
// "512,128": a prompt and the tokens made after it. Several pairs by a semicolon or by naming the flag again.
Result<std::vector<std::pair<std::size_t, std::size_t>>> parse_prompt_gens(std::string_view text);
// "bf16,e8-q10", empty parts refused.
Result<std::vector<std::string>> parse_names(const char* flag, std::string_view text);

}  // namespace kakeya::speed
