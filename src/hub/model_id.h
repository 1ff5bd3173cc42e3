// Names of models on a hub: "org/repo", and "org/repo:Q4_K_M" for one quantisation in a repository of
// several.
#pragma once
#include <kakeya/result.h>

#include <optional>
#include <string>
#include <string_view>

namespace kakeya::hub {

struct ModelId {
  std::string org, repo;
  std::string variant;  // upper case; empty = the repository's only or default one

  std::string repository() const { return org + "/" + repo; }
  std::string text() const { return variant.empty() ? repository() : repository() + ":" + variant; }
  friend bool operator==(const ModelId&, const ModelId&) = default;
};

// Nothing when `text` cannot be such a name: letters, digits, '-', '_' and '.' only, beginning with a letter
// or digit, no "..", at most 96 each. So a ModelId is safe as a part of paths and addresses.
std::optional<ModelId> parse_model_id(std::string_view text);

// A branch, tag or commit: the characters of a ModelId and '/'.
bool is_revision(std::string_view text);

// A path that stays below the directory it is joined to: no root, "..", ".", empty part, backslash or control
// character; no part over 200 bytes.
bool is_safe_path(std::string_view path);

}  // namespace kakeya::hub
