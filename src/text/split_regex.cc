#include "text/split_regex.h"

#include <cstdint>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "text/utf8.h"

namespace kakeya::text {
namespace {

// White_Space, which Oniguruma means by \s. PCRE2 would add U+180E.
constexpr const char* kSpaceSet =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// Letters and numbers of Unicode 16 (Oniguruma 6.9.10) that PCRE2 10.42 with Unicode 14 does not know yet.
constexpr const char* kNewLetters =
    R"(\x{1c89}-\x{1c8a}\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{105c0}-\x{105f3}\x{10d4a}-\x{10d65})"
    R"(\x{10d6f}-\x{10d85}\x{10ec2}-\x{10ec4}\x{1123f}-\x{11240}\x{11380}-\x{11389}\x{1138b})"
    R"(\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1}\x{113d3}\x{11bc0}-\x{11be0}\x{11f02})"
    R"(\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f}\x{13441}-\x{13446}\x{13460}-\x{143fa})"
    R"(\x{16100}-\x{1611d}\x{16d40}-\x{16d6c}\x{18cff}\x{1b132}\x{1b155}\x{1df25}-\x{1df2a})"
    R"(\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb}\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739})"
    R"(\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})";
constexpr const char* kNewNumbers =
    R"(\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11f50}-\x{11f59})"
    R"(\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9}\x{1d2c0}-\x{1d2d3})"
    R"(\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})";

// Qwen2/Qwen3, Llama-3 and GPT-2 as their tokenizer.json files spell them. Every alternative repeats single
// classes and one of them matches at every position, so the work is linear in the text.
constexpr std::array<const char*, 3> kPublished = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
};

constexpr std::uint32_t kFirstLimit = 1000;         // backtracking steps that a match may take for free
constexpr std::uint32_t kLastLimit = 10'000'000;    // and at most
constexpr std::uint64_t kBaseBudget = 100'000'000;  // steps beyond the free ones, for one text
constexpr std::uint32_t kHeapLimitKib = 128 * 1024;
constexpr std::size_t kJitStackBytes = std::size_t{1} << 20;

class Translator {
 public:
  explicit Translator(const std::string& pattern) : in_(pattern) {}

  Result<std::string> run() {
    while (at_ < in_.size()) KAKEYA_TRY(step());
    if (in_class_) return refuse("a character class without end");
    return std::move(out_);
  }

 private:
  Status step() {
    const char c = in_[at_];
    if (c == '\\') return escape();
    if (in_class_) return class_character(c);
    if (c == '[') {
      in_class_ = true;
      class_start_ = true;
    } else if (c == '(') {
      KAKEYA_TRY(group());
    } else if (c == '^' || c == '$') {
      return refuse("an anchor");
    }
    return copy();
  }

  Status class_character(char c) {
    const bool start = class_start_;
    class_start_ = start && c == '^';
    if (c == '[') return refuse("a class within a class");
    if (c == '&' && next() == '&') return refuse("an intersection of classes");
    if (c == ']') {
      if (start) return refuse("an empty class");
      in_class_ = false;
    }
    return copy();
  }

  // Of groups only (...), (?:...), (?i:...), (?=...), (?!...), (?>...).
  Status group() {
    const std::string_view rest = std::string_view(in_).substr(at_);
    if (rest.starts_with("(*")) return refuse("a verb");
    if (!rest.starts_with("(?")) return {};
    for (const char* known : {"(?:", "(?i:", "(?=", "(?!", "(?>"}) {
      if (rest.starts_with(known)) return {};
    }
    return refuse("a group of this kind");
  }

  Status escape() {
    const char kind = next();
    class_start_ = false;
    switch (kind) {
      case 's':
        out_ += in_class_ ? std::string(kSpaceSet) : '[' + std::string(kSpaceSet) + ']';
        at_ += 2;
        return {};
      case 'S':
        if (in_class_) return refuse("\\S in a class");
        out_ += "[^" + std::string(kSpaceSet) + ']';
        at_ += 2;
        return {};
      case 'p':
      case 'P':
        if (property()) return {};
        out_ += in_[at_++];
        return copy();
      case 'r':
      case 'n':
      case 't':
      case 'd':
      case 'D':
      case 'x':
        out_ += in_[at_++];
        return copy();
      case 'u':
        return code_unit();
      default:
        break;
    }
    const bool letter =
        (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') || (kind >= '0' && kind <= '9');
    if (letter || kind == '\0' || (static_cast<unsigned char>(kind) & 0x80) != 0) {
      return refuse(std::string("the escape \\") + kind);
    }
    out_ += in_[at_++];
    return copy();
  }

  // \p{L} and \p{N} with what PCRE2 lacks, and their complements outside of classes.
  bool property() {
    const std::string_view name = std::string_view(in_).substr(at_ + 1, 4);
    const bool negated = name.starts_with('P');
    if ((name.substr(1) != "{L}" && name.substr(1) != "{N}") || (negated && in_class_)) return false;
    const std::string set =
        "\\p" + std::string(name.substr(1)) + (name[2] == 'L' ? kNewLetters : kNewNumbers);
    out_ += in_class_ ? set : (negated ? "[^" : "[") + set + ']';
    at_ += 5;
    return true;
  }

  // \uHHHH -> \x{HHHH}
  Status code_unit() {
    const std::string hex = in_.substr(std::min(in_.size(), at_ + 2), 4);
    if (hex.size() != 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      return refuse("the escape \\u without four digits");
    }
    out_ += "\\x{" + hex + "}";
    at_ += 6;
    return {};
  }

  Status copy() {
    out_ += in_[at_++];
    return {};
  }
  char next() const { return at_ + 1 < in_.size() ? in_[at_ + 1] : '\0'; }
  Error refuse(const std::string& what) const {
    return unsupported("split regex: " + what + " at byte " + std::to_string(at_) +
                       ", expected the constructs of published byte-level tokenizers");
  }

  const std::string& in_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_class_ = false, class_start_ = false;
};

std::string pcre_message(int code) {
  std::array<unsigned char, 160> buffer{};
  if (pcre2_get_error_message(code, buffer.data(), buffer.size()) < 0) return "error " + std::to_string(code);
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

Result<std::string> translate_regex(const std::string& pattern) { return Translator(pattern).run(); }

void SplitRegex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

SplitRegex::Scratch::Scratch()
    : data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      jit_stack_(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr)) {
  if (context_ == nullptr) return;
  pcre2_set_heap_limit(context_, kHeapLimitKib);
  pcre2_jit_stack_assign(context_, nullptr, jit_stack_);
}

SplitRegex::Scratch::~Scratch() {
  pcre2_match_data_free(data_);
  pcre2_match_context_free(context_);
  pcre2_jit_stack_free(jit_stack_);
}

Result<SplitRegex> SplitRegex::compile(const std::string& pattern) {
  KAKEYA_ASSIGN(const std::string translated, translate_regex(pattern));
  int code = 0;
  PCRE2_SIZE offset = 0;
  constexpr std::uint32_t kFlags = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                       kFlags, &code, &offset, nullptr);
  if (compiled == nullptr) {
    return unsupported("split regex: " + pcre_message(code) + " at byte " + std::to_string(offset));
  }
  SplitRegex out;
  out.code_.reset(compiled);
  const bool published =
      std::any_of(kPublished.begin(), kPublished.end(), [&](const char* known) { return pattern == known; });
  // Without a JIT on this machine the published patterns run in the interpreter as well.
  out.linear_ = published && pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
  return out;
}

// One search from `from`. Published patterns run compiled; the interpreter counts every step of the others,
// few at first, more while the budget lasts.
int SplitRegex::match(std::string_view text, std::size_t from, Scratch& scratch,
                      std::uint64_t& budget) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  if (linear_) {
    pcre2_set_match_limit(scratch.context_, 0xffffffffu);
    return pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, scratch.data_,
                       scratch.context_);
  }
  for (std::uint32_t limit = kFirstLimit;; limit *= 100) {
    pcre2_set_match_limit(scratch.context_, std::min(limit, kLastLimit));
    const int rc = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                               scratch.data_, scratch.context_);
    if (rc != PCRE2_ERROR_MATCHLIMIT || limit >= kLastLimit) return rc;
    const std::uint64_t cost = std::min<std::uint64_t>(std::uint64_t{limit} * 100, kLastLimit);
    if (cost > budget) return rc;
    budget -= cost;
  }
}

Status SplitRegex::split(std::string_view text, Scratch& scratch, const Sink& sink) const {
  if (scratch.data_ == nullptr || scratch.context_ == nullptr) {
    return Error{ErrorCode::kOutOfMemory, "split text: no memory for the regex"};
  }
  std::uint64_t budget = kBaseBudget + 1000 * static_cast<std::uint64_t>(text.size());
  std::size_t done = 0;  // everything before it went to the sink
  std::size_t from = 0;
  while (from < text.size()) {
    const int rc = match(text, from, scratch, budget);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      return invalid_argument("split text: the tokenizer's regex gave up at byte " + std::to_string(from) +
                              " of " + std::to_string(text.size()) + ": " + pcre_message(rc));
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.data_);
    const std::size_t begin = range[0], end = range[1];
    if (begin > done) sink(text.substr(done, begin - done));
    if (end > begin) sink(text.substr(begin, end - begin));
    done = end;
    // An empty match cuts the text there; the search goes on behind the next character.
    from = end > begin ? end : end + std::max<std::size_t>(1, next_utf8(text.substr(end)).length);
  }
  if (done < text.size()) sink(text.substr(done));
  return {};
}

}  // namespace kakeya::text
