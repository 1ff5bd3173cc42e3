// "g", "s", or "t", "x" or "l" (a form of calls), then a grammar, schema or tool up to a zero byte, then
// bytes that a model might emit.
#include <algorithm>

#include "fuzz.h"
#include "grammar/constraint.h"

namespace {

using namespace kakeya;

grammar::ConstraintFactory& factory() {
  static grammar::ConstraintFactory made = [] {
    std::vector<std::string> bytes;
    for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
    for (const char* word :
         {"aa", "ab", "\"a", "\",", "\": ", "{\"", "\"}", "true", "  ", "\n ", "12", "\xe6\xbc"}) {
      bytes.emplace_back(word);
    }
    bytes.emplace_back();
    const auto stop = static_cast<Token>(bytes.size() - 1);
    auto vocabulary = grammar::Vocabulary::create(bytes, {stop});
    FUZZ_CHECK(vocabulary.ok());
    return grammar::ConstraintFactory(
        std::make_shared<const grammar::Vocabulary>(std::move(vocabulary).value()));
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view all = as_text(data + 1, size - 1);
  const std::size_t end = std::min(all.find('\0'), all.size());
  ConstraintSpec spec;
  spec.kind = data[0] == 'g'   ? ConstraintKind::kGrammar
              : data[0] == 's' ? ConstraintKind::kJsonSchema
                               : ConstraintKind::kToolCalls;
  spec.text = all.substr(0, end);
  if (spec.kind == ConstraintKind::kToolCalls) spec.tools_json = {spec.text};
  spec.tool_format = data[0] == 'x'   ? ToolFormat::kQwen3Coder
                     : data[0] == 'l' ? ToolFormat::kLlama3
                                      : ToolFormat::kQwen3;
  auto constraint = factory().make(spec);
  if (!constraint.ok()) {
    const ErrorCode code = constraint.error().code;
    FUZZ_CHECK(code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnsupported);
    return 0;
  }
  std::uint64_t bits[5] = {};
  std::size_t left = 100;
  for (const char c : all.substr(end)) {
    if (left-- == 0) break;
    (*constraint)->allowed(bits);
    const auto id = static_cast<std::uint8_t>(c);
    FUZZ_CHECK(std::any_of(std::begin(bits), std::end(bits), [](std::uint64_t w) { return w != 0; }));
    if ((bits[id / 64] >> (id % 64) & 1) != 0) (*constraint)->accept(id);
  }
  return 0;
}
