// Untrusted JSON and gzip bytes of data sets: size and depth caps, errors that name the place. Not a JSON
// library.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace kakeya::acceptance {

inline constexpr std::size_t kMaxJsonDepth = 32;

// `where` opens every error message ("data/x.jsonl line 3"). Errors: kCorruptData.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& where);

// The field `key` of `object` as a string. Errors name what was found instead.
Result<std::string> string_field(const nlohmann::json& object, const char* key, const std::string& where);

bool is_gzip(std::string_view bytes);
// All members of a gzip file. Errors: kCorruptData when it is damaged, cut or larger than max_bytes.
Result<std::string> gunzip(std::string_view bytes, std::size_t max_bytes, const std::string& where);

// Printable ASCII of at most max_chars characters, for error messages that quote foreign bytes.
std::string quoted_excerpt(std::string_view bytes, std::size_t max_chars);

}  // namespace kakeya::acceptance
