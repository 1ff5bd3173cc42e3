#include "hub/http_download.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "hub/curl_handle.h"
#include "hub/listing.h"

namespace kakeya::hub {
namespace {

constexpr long kOk = 200, kPartialContent = 206, kRangeNotSatisfiable = 416;
constexpr std::size_t kMaxErrorBody = 4096, kMaxIgnored = 1 << 20;

struct Transfer {
  const DownloadRequest& request;
  PartFile& file;
  const CurlHandle& curl;
  std::uint64_t offset;  // asked for
  std::string error_body;
  std::size_t ignored = 0;
  bool begun = false;               // the first byte of the body was looked at
  std::optional<HttpFailure> ours;  // why we ended it
};

void refuse(Transfer& transfer, std::string found, bool may_pass) {
  transfer.ours = HttpFailure{{may_pass ? ErrorCode::kNetwork : ErrorCode::kCorruptData,
                               fmt::format("get {}: {}", transfer.request.url, std::move(found))},
                              may_pass};
}

// `"abc"`, `W/"abc"` -> abc
std::string plain_etag(std::string text) {
  if (text.rfind("W/", 0) == 0) text.erase(0, 2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

// What a hub says of the file beside its redirect to where the bytes are.
bool linked_fits(Transfer& transfer) {
  constexpr std::size_t kSha256Digits = 64;
  const std::string size = transfer.curl.header("x-linked-size");
  const std::string etag = plain_etag(transfer.curl.header("x-linked-etag"));
  const std::string& sha256 = transfer.request.sha256;
  if (!size.empty() && size != std::to_string(transfer.file.whole_size())) {
    refuse(transfer,
           fmt::format("found X-Linked-Size {}, expected {} as listed", size.substr(0, 40),
                       transfer.file.whole_size()),
           false);
    return false;
  }
  if (!sha256.empty() && etag.size() == kSha256Digits && etag != sha256) {
    refuse(transfer, fmt::format("found X-Linked-Etag {}, expected {} as listed", etag, sha256), false);
    return false;
  }
  return true;
}

// False, with the reason kept, when the announced range or length is not what was asked for.
bool answer_fits(Transfer& transfer, long status) {
  PartFile& file = transfer.file;
  if (status == kPartialContent) {
    const std::string range = fmt::format("bytes {}-{}/", transfer.offset, file.whole_size() - 1);
    const std::string found = transfer.curl.header("content-range");
    if (found != range + std::to_string(file.whole_size()) && found != range + "*") {
      refuse(transfer,
             fmt::format("found Content-Range '{}', expected '{}{}'", printable(found, 80), range,
                         file.whole_size()),
             true);
      if (const Status status_of = file.restart(); !status_of.ok())
        transfer.ours = {status_of.error(), false};
      return false;
    }
  } else if (transfer.offset > 0) {
    if (const Status status_of = file.restart(); !status_of.ok()) {
      transfer.ours = {status_of.error(), false};
      return false;
    }
    transfer.offset = 0;
  }
  curl_off_t length = -1;
  curl_easy_getinfo(transfer.curl.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  const std::uint64_t expected = file.whole_size() - transfer.offset;
  if (length >= 0 && static_cast<std::uint64_t>(length) != expected) {
    refuse(transfer, fmt::format("found {} bytes to come, expected {}", length, expected), false);
    return false;
  }
  return true;
}

// The words of a server that refuses.
std::size_t take_error(Transfer& transfer, std::string_view bytes) {
  const std::size_t room = kMaxErrorBody - transfer.error_body.size();
  transfer.error_body += bytes.substr(0, room);
  transfer.ignored += bytes.size();
  return transfer.ignored > kMaxIgnored ? 0 : bytes.size();
}

std::size_t take_bytes(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t n = size * count;
  long status = 0;
  curl_easy_getinfo(transfer.curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != kOk && status != kPartialContent) return take_error(transfer, {data, n});
  if (!transfer.begun && !(linked_fits(transfer) && answer_fits(transfer, status))) return 0;
  transfer.begun = true;
  PartFile& file = transfer.file;
  if (n > file.whole_size() - file.size()) {
    refuse(transfer,
           fmt::format("found more than {} bytes, expected the file to end there", file.whole_size()), false);
    return 0;
  }
  if (const Status written = file.append(std::as_bytes(std::span(data, n))); !written.ok()) {
    transfer.ours = {written.error(), false};
    return 0;
  }
  if (transfer.request.progress) transfer.request.progress();
  return n;
}

void set_options(CurlHandle& curl, const DownloadRequest& request, Transfer& transfer) {
  curl.set_address(request.url, request.bearer_token, request.connect_ms);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, request.slow_bytes_per_s);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, request.slow_s);
  curl_easy_setopt(curl.get(), CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  if (transfer.offset > 0) {
    curl_easy_setopt(curl.get(), CURLOPT_RANGE, fmt::format("{}-", transfer.offset).c_str());
  }
}

}  // namespace

HttpOutcome http_download(const DownloadRequest& request, PartFile& file) {
  CurlHandle curl(request.cancelled);
  if (!curl) {
    return failed_outcome(ErrorCode::kNetwork, fmt::format("get {}: libcurl did not start", request.url),
                          false);
  }
  Transfer transfer{request, file, curl, file.size(), {}, 0, false, {}};
  set_options(curl, request, transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  HttpOutcome outcome;
  outcome.reply = curl.reply();
  outcome.reply.body = std::move(transfer.error_body);
  const bool refused = outcome.reply.status >= 400;  // its body may have been cut by us
  if (transfer.ours) {
    outcome.failed = true;
    outcome.failure = *transfer.ours;
    return outcome;
  }
  if (code != CURLE_OK && !(refused && code == CURLE_WRITE_ERROR)) return curl.failure(code, request.url);
  if (outcome.reply.status == kRangeNotSatisfiable) {
    if (const Status restarted = file.restart(); !restarted.ok()) {
      return failed_outcome(restarted.error().code, restarted.error().message, false);
    }
  }
  if ((outcome.reply.status == kOk || outcome.reply.status == kPartialContent) && !file.complete()) {
    return failed_outcome(ErrorCode::kNetwork,
                          fmt::format("get {}: found an end after {} bytes, expected {}", request.url,
                                      file.size(), file.whole_size()),
                          true);
  }
  return outcome;
}

}  // namespace kakeya::hub
