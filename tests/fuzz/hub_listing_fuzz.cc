// A hub's listing of a repository, what is chosen from it, and the manifest that is kept of a pull.
#include <set>

#include "fuzz.h"
#include "hub/file_choice.h"
#include "hub/listing.h"
#include "hub/manifest.h"

namespace {

using namespace kakeya::hub;

bool hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void check_listing(const HubListing& listing) {
  FUZZ_CHECK(hex(listing.commit, 40));
  std::set<std::string> paths;
  std::uint64_t bytes = 0;
  for (const HubFile& file : listing.files) {
    FUZZ_CHECK(is_safe_path(file.path) && paths.insert(file.path).second);
    FUZZ_CHECK(file.sha256.empty() ? hex(file.git_oid, 40) : hex(file.sha256, 64));
    FUZZ_CHECK(bytes + file.size >= bytes);
    bytes += file.size;
  }
}

void check_same(const Manifest& manifest, const kakeya::Result<Manifest>& again) {
  FUZZ_CHECK(again.ok() && again->id == manifest.id && again->commit == manifest.commit);
  FUZZ_CHECK(again->snapshot == manifest.snapshot && again->files.size() == manifest.files.size());
  FUZZ_CHECK(manifest_json(*again) == manifest_json(manifest));
}

// Each choice is of listed files, and the plan made of it reads back.
void check_choices(const HubListing& listing) {
  for (const char* name : {"org/repo", "org/repo:Q4_K_M"}) {
    for (const Patterns& patterns : {Patterns{}, Patterns{{"*.json", "dir/"}, {"*-0000?-*"}}}) {
      const ModelId id = *parse_model_id(name);
      const auto chosen = choose_files(id, listing.files, patterns);
      if (!chosen.ok()) {
        FUZZ_CHECK(!chosen.error().message.empty());
        continue;
      }
      FUZZ_CHECK(!chosen->empty() && chosen->size() <= listing.files.size());
      const Manifest plan{id,     "main", listing.commit, snapshot_name(id, listing.commit, *chosen),
                          "date", *chosen};
      check_same(plan, parse_manifest(manifest_json(plan), "plan"));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(data, size));
  if (const auto listing = parse_listing(text, "http://hub/list"); listing.ok()) {
    check_listing(*listing);
    check_choices(*listing);
  } else {
    FUZZ_CHECK(listing.error().code == kakeya::ErrorCode::kCorruptData);
    FUZZ_CHECK(listing.error().message.rfind("read http://hub/list", 0) == 0);
  }
  if (const auto manifest = parse_manifest(text, "manifest.json"); manifest.ok()) {
    for (const HubFile& file : manifest->files) FUZZ_CHECK(is_safe_path(file.path));
    FUZZ_CHECK(manifest->snapshot != ".." && manifest->snapshot.find('/') == std::string::npos);
    check_same(*manifest, parse_manifest(manifest_json(*manifest), "again"));
  } else {
    FUZZ_CHECK(manifest.error().code == kakeya::ErrorCode::kCorruptData);
  }
  return 0;
}
