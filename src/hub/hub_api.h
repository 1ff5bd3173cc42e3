// What a Hugging Face hub says about a repository. Every answer is doubted.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/model_id.h"
#include "hub/retry.h"

namespace kakeya::hub {

struct HubAccess {
  std::string endpoint = "https://huggingface.co";
  std::string token;  // never sent over plain http but to the loopback address, never to another host
  RetryPolicy retry;
  long connect_ms = 10'000, answer_ms = 60'000;
  long slow_bytes_per_s = 1024, slow_s = 30;  // of file transfers
  std::function<bool()> cancelled;            // may be empty
};

struct HubFile {
  std::string path;  // safe: is_safe_path
  std::uint64_t size = 0;
  std::string sha256;   // of the content; empty when the file lies in git itself
  std::string git_oid;  // of the blob with the content; empty when sha256 is known
};

struct HubListing {
  std::string commit;  // 40 hex digits
  std::vector<HubFile> files;
};

// Errors: kInvalidArgument (endpoint, token), kNotFound, kNetwork (unreachable), kUnsupported (refused),
// kCorruptData (an answer that cannot be: unsafe or repeated paths, missing sizes or digests), kCancelled.
Result<HubListing> list_files(const HubAccess& access, const ModelId& id, const std::string& revision);

std::string file_url(const HubAccess& access, const ModelId& id, const std::string& commit,
                     const std::string& path);

}  // namespace kakeya::hub
