// A sequence on disk: its tokens and the packed KV rows of target and draft, so that it goes on without being
// computed again. Layout and what is refused: docs/formats/session.md.
#pragma once
#include <kakeya/result.h>
#include <kakeya/token.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kakeya::engine {

struct SavedSequence {
  std::vector<Token> tokens;
  std::size_t draft_length = 0;       // tokens that the draft's rows cover, at most tokens.size()
  std::vector<std::byte> rows;        // kv::Cache::save_rows(tokens.size()) of the target
  std::vector<std::byte> draft_rows;  // save_rows(draft_length) of the draft
};

// What the rows belong to. Each text is at most kMostIdentityBytes of printable ASCII.
struct SequenceIdentity {
  std::string target_fingerprint;  // model::model_fingerprint
  std::string draft_fingerprint;   // empty without a draft
  std::string kv, draft_kv;        // channels
  int boundary = 0;                // of the target's cache
};
constexpr std::size_t kMostIdentityBytes = 256;

struct SequenceLimits {
  std::size_t max_tokens = 0;
  std::size_t vocab_size = 0;  // tokens lie in [0, vocab_size)
};

constexpr std::uint32_t kSequenceVersion = 1;

// First bytes of the file, little-endian.
struct SequenceHeader {
  char magic[8];
  std::uint32_t version;
  std::int32_t boundary;
  std::uint64_t tokens;        // ids that follow, 4 bytes each
  std::uint64_t draft_length;  // tokens
  std::uint64_t rows_bytes, draft_rows_bytes;
  std::uint32_t target_fingerprint_bytes, draft_fingerprint_bytes, kv_bytes, draft_kv_bytes;
};
static_assert(sizeof(SequenceHeader) == 64);

// Replaces `path` in one step or leaves it as it was; only the file's owner may read it. Errors: kNotFound,
// kIo, kInvalidArgument when it is a directory, device, pipe or socket.
Status write_sequence(const std::string& path, const SequenceIdentity& identity,
                      const SavedSequence& sequence);

// Errors: kNotFound, kIo; kCorruptData (damage of any kind), kUnsupported (another version, model, draft,
// channel or boundary), kContextOverflow (more than limits.max_tokens), each naming found and expected. The
// rows themselves are checked by kv::Cache::load_rows.
Result<SavedSequence> read_sequence(const std::string& path, const SequenceIdentity& expected,
                                    SequenceLimits limits);
// The same of bytes in memory; `name` stands for the path in messages.
Result<SavedSequence> parse_sequence(const std::string& name, std::span<const std::byte> file,
                                     const SequenceIdentity& expected, SequenceLimits limits);

}  // namespace kakeya::engine
