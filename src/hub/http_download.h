// One GET whose body goes to a file, from where the file ends. No limit on the whole time: a connection that
// becomes too slow ends. Retries are the caller's.
#pragma once
#include <functional>
#include <string>

#include "hub/http_client.h"
#include "hub/part_file.h"

namespace kakeya::hub {

struct DownloadRequest {
  std::string url;           // as HttpRequest
  std::string bearer_token;  // as HttpRequest
  std::string sha256;        // of the whole file, where it is known: a hub that announces another is refused
  long connect_ms = 10'000;
  long slow_bytes_per_s = 1024, slow_s = 30;  // slower than that for so long: the transfer ends, may_pass
  std::function<bool()> cancelled;            // polled during the transfer; may be empty
  std::function<void()> progress;             // after bytes went to the file; may be empty
};

// A success (no failure, status 200 or 206) means that the file is complete in size. With another status the
// body is the first bytes of what the server said and the file is as it was, but 416 (no such range) restarts
// it. A server that ignores the range or answers with another one has the file start over. Bytes beyond the
// file's whole size are refused. What arrived before a failure stays in the file.
HttpOutcome http_download(const DownloadRequest& request, PartFile& file);

}  // namespace kakeya::hub
