// tokenizer.json, then a NUL, then a text to encode with it.
#include "formats/tokenizer_file.h"
#include "fuzz.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all = as_text(data, size);
  const std::size_t cut = std::min(all.find('\0'), all.size());
  const std::string_view text = all.substr(std::min(cut + 1, all.size()));
  auto file = kakeya::formats::parse_tokenizer_file("fuzz.json", std::string(all.substr(0, cut)));
  if (!file.ok()) {
    FUZZ_CHECK(file.error().message.find("fuzz.json") != std::string::npos);
    return 0;
  }
  const bool verbatim = !file->nfc && !file->add_prefix_space && file->added.empty();
  auto tokenizer = kakeya::text::Tokenizer::create(std::move(file).value());
  if (!tokenizer.ok()) return 0;
  for (const bool parse_special : {true, false}) {
    const auto ids = (*tokenizer)->encode(text, parse_special);
    if (!ids.ok()) continue;
    for (const kakeya::Token id : *ids) {
      FUZZ_CHECK(id >= 0 && static_cast<std::size_t>(id) < (*tokenizer)->vocab_size());
    }
    const std::string back = (*tokenizer)->decode(*ids, false);
    FUZZ_CHECK(!verbatim || back == text);
  }
  return 0;
}
