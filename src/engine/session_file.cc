#include "engine/session_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "base/checked_math.h"
#include "base/file.h"
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "base/sha256.h"

namespace kakeya::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "sequences are read and written in memory order");
static_assert(sizeof(Token) == 4);

constexpr std::string_view kMagic = "KAKEYASQ";
constexpr std::size_t kChecksumBytes = 64;  // SHA-256 in hex

using Bytes = std::span<const std::byte>;

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool is_identity_text(std::string_view text) {
  return text.size() <= kMostIdentityBytes &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

// A length without rows, rows without a length, or a draft's share without a draft.
bool is_consistent(const SavedSequence& s, const SequenceIdentity& identity) {
  return s.draft_length <= s.tokens.size() && s.tokens.empty() == s.rows.empty() &&
         (s.draft_length == 0) == s.draft_rows.empty() &&
         (s.draft_length == 0 || !identity.draft_fingerprint.empty());
}

std::uint32_t length_of(const std::string& text) {
  KAKEYA_CHECK(is_identity_text(text));
  return static_cast<std::uint32_t>(text.size());
}

SequenceHeader make_header(const SequenceIdentity& identity, const SavedSequence& sequence) {
  SequenceHeader header = {};
  std::copy(kMagic.begin(), kMagic.end(), header.magic);
  header.version = kSequenceVersion;
  header.boundary = identity.boundary;
  header.tokens = sequence.tokens.size();
  header.draft_length = sequence.draft_length;
  header.rows_bytes = sequence.rows.size();
  header.draft_rows_bytes = sequence.draft_rows.size();
  header.target_fingerprint_bytes = length_of(identity.target_fingerprint);
  header.draft_fingerprint_bytes = length_of(identity.draft_fingerprint);
  header.kv_bytes = length_of(identity.kv);
  header.draft_kv_bytes = length_of(identity.draft_kv);
  return header;
}

// Header, magic, version and the sizes of what follows, which must fill the file.
Result<SequenceHeader> read_header(const std::string& what, Bytes file) {
  SequenceHeader header;
  constexpr std::size_t kLeast = sizeof header + kChecksumBytes;
  if (file.size() < kLeast) {
    return corrupt_data(fmt::format("{}: found {} bytes, expected at least {}", what, file.size(), kLeast));
  }
  std::memcpy(&header, file.data(), sizeof header);
  if (std::string_view(header.magic, sizeof header.magic) != kMagic) {
    return corrupt_data(fmt::format("{}: the first 8 bytes are not '{}'", what, kMagic));
  }
  if (header.version != kSequenceVersion) {
    return unsupported(fmt::format("{}: version is {}, expected {}", what, header.version, kSequenceVersion));
  }
  for (const std::uint32_t size : {header.target_fingerprint_bytes, header.draft_fingerprint_bytes,
                                   header.kv_bytes, header.draft_kv_bytes}) {
    if (size > kMostIdentityBytes) {
      return corrupt_data(
          fmt::format("{}: a name has {} bytes, expected at most {}", what, size, kMostIdentityBytes));
    }
  }
  std::optional<std::uint64_t> size = kLeast + header.target_fingerprint_bytes +
                                      header.draft_fingerprint_bytes + header.kv_bytes +
                                      header.draft_kv_bytes;
  for (const auto part : {base::checked_mul(header.tokens, sizeof(Token)), std::optional(header.rows_bytes),
                          std::optional(header.draft_rows_bytes)}) {
    if (size) size = part ? base::checked_add(*size, *part) : std::nullopt;
  }
  if (size != file.size()) {
    return corrupt_data(fmt::format("{}: found {} bytes, its header makes {}", what, file.size(),
                                    size ? std::to_string(*size) : "more than 2^64"));
  }
  return header;
}

Status compare(const std::string& what, const char* field, std::string_view found,
               std::string_view expected) {
  if (found == expected) return {};
  const auto shown = [](std::string_view text) { return text.empty() ? std::string_view("none") : text; };
  return unsupported(fmt::format("{}: {} is {}, expected {}", what, field, shown(found), shown(expected)));
}

Status compare_identity(const std::string& what, const SequenceIdentity& found,
                        const SequenceIdentity& expected) {
  for (const std::string* text :
       {&found.target_fingerprint, &found.draft_fingerprint, &found.kv, &found.draft_kv}) {
    if (!is_identity_text(*text)) {
      return corrupt_data(what + ": a name holds other bytes than printable ASCII");
    }
  }
  KAKEYA_TRY(compare(what, "the target model", found.target_fingerprint, expected.target_fingerprint));
  KAKEYA_TRY(compare(what, "the draft model", found.draft_fingerprint, expected.draft_fingerprint));
  KAKEYA_TRY(compare(what, "the KV channel", found.kv, expected.kv));
  KAKEYA_TRY(compare(what, "the draft's KV channel", found.draft_kv, expected.draft_kv));
  return compare(what, "boundary", std::to_string(found.boundary), std::to_string(expected.boundary));
}

Status check_tokens(const std::string& what, std::span<const Token> tokens, std::size_t vocab_size) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && static_cast<std::size_t>(tokens[i]) < vocab_size) continue;
    return corrupt_data(
        fmt::format("{}: token {} is {}, expected 0 to {}", what, i, tokens[i], vocab_size - 1));
  }
  return {};
}

}  // namespace

Status write_sequence(const std::string& path, const SequenceIdentity& identity,
                      const SavedSequence& sequence) {
  KAKEYA_CHECK(is_consistent(sequence, identity));
  const SequenceHeader header = make_header(identity, sequence);
  const std::string names =
      identity.target_fingerprint + identity.draft_fingerprint + identity.kv + identity.draft_kv;
  std::array<Bytes, 6> pieces = {std::as_bytes(std::span(&header, 1)), bytes_of(names),
                                 std::as_bytes(std::span(sequence.tokens)), sequence.rows,
                                 sequence.draft_rows};
  const std::string checksum = base::sha256_hex(std::span(pieces).first<5>());
  pieces[5] = bytes_of(checksum);
  KAKEYA_ASSIGN(const std::string target, base::output_file(path));
  return base::write_private_file_atomic(target, pieces);
}

Result<SavedSequence> parse_sequence(const std::string& name, Bytes file, const SequenceIdentity& expected,
                                     SequenceLimits limits) {
  const std::string what = "read sequence " + name;
  KAKEYA_ASSIGN(const SequenceHeader header, read_header(what, file));
  const Bytes body = file.first(file.size() - kChecksumBytes);
  if (base::sha256_hex(body) != text_of(file.last(kChecksumBytes))) {
    return corrupt_data(what + ": the checksum is not that of the bytes, so some are damaged");
  }
  Bytes rest = body.subspan(sizeof header);
  const auto take = [&](std::uint64_t size) {
    const Bytes out = rest.first(size);
    rest = rest.subspan(size);
    return out;
  };
  SequenceIdentity identity;
  identity.boundary = header.boundary;
  identity.target_fingerprint = text_of(take(header.target_fingerprint_bytes));
  identity.draft_fingerprint = text_of(take(header.draft_fingerprint_bytes));
  identity.kv = text_of(take(header.kv_bytes));
  identity.draft_kv = text_of(take(header.draft_kv_bytes));
  KAKEYA_TRY(compare_identity(what, identity, expected));
  if (header.tokens > limits.max_tokens) {
    return Error{ErrorCode::kContextOverflow, fmt::format("{}: it has {} tokens, expected at most {}", what,
                                                          header.tokens, limits.max_tokens)};
  }
  SavedSequence out;
  out.tokens.resize(header.tokens);
  const Bytes ids = take(header.tokens * sizeof(Token));
  if (!ids.empty()) std::memcpy(out.tokens.data(), ids.data(), ids.size());
  KAKEYA_TRY(check_tokens(what, out.tokens, limits.vocab_size));
  out.draft_length = header.draft_length;
  const Bytes rows = take(header.rows_bytes), draft_rows = take(header.draft_rows_bytes);
  out.rows.assign(rows.begin(), rows.end());
  out.draft_rows.assign(draft_rows.begin(), draft_rows.end());
  if (!is_consistent(out, identity)) {
    return corrupt_data(fmt::format(
        "{}: {} tokens with {} bytes of rows, of them {} with {} bytes of draft rows: these do not fit", what,
        out.tokens.size(), out.rows.size(), out.draft_length, out.draft_rows.size()));
  }
  return out;
}

Result<SavedSequence> read_sequence(const std::string& path, const SequenceIdentity& expected,
                                    SequenceLimits limits) {
  KAKEYA_ASSIGN(const base::MappedFile file, base::MappedFile::open(path));
  return parse_sequence(path, file.bytes(), expected, limits);
}

}  // namespace kakeya::engine
