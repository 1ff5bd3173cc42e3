// The split step of a pre-tokenizer: cuts text at every match of a regex. Runs on PCRE2 with bounded work,
// so that neither a hostile regex nor a hostile text can hang it.
#pragma once
#include <kakeya/result.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace kakeya::text {

// Rewrites an Oniguruma pattern (what tokenizer.json holds) so that PCRE2 means the same by it.
// Errors: kUnsupported naming a construct whose meaning differs.
Result<std::string> translate_regex(const std::string& pattern);

class SplitRegex {
 public:
  // Errors: kUnsupported (a construct we do not translate, a pattern PCRE2 refuses).
  static Result<SplitRegex> compile(const std::string& pattern);

  // Working memory of one thread.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class SplitRegex;
    pcre2_real_match_data_8* data_ = nullptr;
    pcre2_real_match_context_8* context_ = nullptr;
    pcre2_real_jit_stack_8* jit_stack_ = nullptr;
  };

  using Sink = std::function<void(std::string_view)>;
  // Matches and what lies between them, in order, never empty. `text` is valid UTF-8.
  // Errors: kInvalidArgument when the regex needs more work than `text` deserves.
  Status split(std::string_view text, Scratch& scratch, const Sink& sink) const;

 private:
  int match(std::string_view text, std::size_t from, Scratch& scratch, std::uint64_t& budget) const;
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  bool linear_ = false;  // one of the published patterns, whose work is known to be linear: may use the JIT
};

}  // namespace kakeya::text
