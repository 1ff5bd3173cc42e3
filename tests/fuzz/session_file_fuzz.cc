// Hostile bytes as a saved sequence: refused with a message that names the file, or a sequence within its
// limits.
#include "engine/session_file.h"

#include <string>
#include <vector>

#include "base/sha256.h"
#include "fuzz.h"

using namespace kakeya;

// The first byte: 1 puts the right checksum behind the bytes, as a forger would.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto* begin = reinterpret_cast<const std::byte*>(data) + 1;
  std::vector<std::byte> file(begin, begin + (size - 1));
  if ((data[0] & 1) != 0) {
    const std::string sum = base::sha256_hex(std::span<const std::byte>(file));
    const auto* text = reinterpret_cast<const std::byte*>(sum.data());
    file.insert(file.end(), text, text + sum.size());
  }
  const engine::SequenceIdentity identity = {"target", "draft", "e8-q7", "bf16", 1};
  const engine::SequenceLimits limits = {.max_tokens = 100, .vocab_size = 1000};
  const auto sequence = engine::parse_sequence("fuzz.kvs", file, identity, limits);
  if (!sequence.ok()) {
    FUZZ_CHECK(sequence.error().message.find("fuzz.kvs") != std::string::npos);
    for (const char c : sequence.error().message) FUZZ_CHECK(c >= ' ' && c <= '~');
    return 0;
  }
  FUZZ_CHECK(sequence->tokens.size() <= limits.max_tokens);
  FUZZ_CHECK(sequence->draft_length <= sequence->tokens.size());
  FUZZ_CHECK(sequence->rows.size() + sequence->draft_rows.size() + 128 < file.size());
  for (const Token token : sequence->tokens) FUZZ_CHECK(token >= 0 && token < 1000);
  FUZZ_CHECK(sequence->tokens.empty() == sequence->rows.empty());
  return 0;
}
