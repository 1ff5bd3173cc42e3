#include "acceptance/hub_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "acceptance/jsonl.h"
#include "hub/http_client.h"

namespace kakeya::acceptance {
namespace {

using hub::HttpOutcome;
using hub::HttpReply;
using hub::HttpRequest;
using nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Page {
  std::vector<json> rows;
  std::optional<std::size_t> total;
};

class Download {
 public:
  Download(const DatasetSpec& spec, const HubSource& source)
      : spec_(spec), source_(source), end_(Clock::now() + milliseconds(source.limits.total_ms)) {}

  Result<std::string> run();

 private:
  Result<Page> fetch_page(std::size_t offset);
  Result<std::string> body(const std::string& url);
  Result<Page> parse_page(const std::string& text, const std::string& url, std::size_t offset);
  Result<std::size_t> row_count(const json& value, const std::string& url);
  // Waits unless the time would run out; false when cancelled or out of time.
  bool wait(long ms);
  bool cancelled() const { return source_.cancelled && source_.cancelled(); }
  long ms_left() const {
    return static_cast<long>(std::chrono::duration_cast<milliseconds>(end_ - Clock::now()).count());
  }

  const DatasetSpec& spec_;
  const HubSource& source_;
  Clock::time_point end_;
};

Error network_error(std::string message) { return {ErrorCode::kNetwork, std::move(message)}; }

// The server's own words when it sent {"error": "..."}.
std::string reason_in(const std::string& body) {
  if (const auto reply = parse_json(body, "reply"); reply.ok() && reply->is_object()) {
    if (const auto it = reply->find("error"); it != reply->end() && it->is_string()) {
      return quoted_excerpt(it->get_ref<const std::string&>(), 200);
    }
  }
  return quoted_excerpt(body, 60);
}

bool Download::wait(long ms) {
  if (ms >= ms_left()) return false;
  const auto until = Clock::now() + milliseconds(ms);
  while (Clock::now() < until) {
    if (cancelled()) return false;
    std::this_thread::sleep_for(std::min<Clock::duration>(milliseconds(50), until - Clock::now()));
  }
  return true;
}

Result<std::string> Download::body(const std::string& url) {
  const HubLimits& limits = source_.limits;
  std::string last = "no time left";
  for (int attempt = 1; attempt <= limits.attempts; ++attempt) {
    HttpRequest request{url,
                        source_.token,
                        limits.connect_ms,
                        std::min(limits.page_ms, ms_left()),
                        limits.page_bytes,
                        source_.cancelled};
    if (request.total_ms <= 0) break;
    HttpOutcome outcome = hub::http_get(request);
    long pause = limits.backoff_ms << std::min(attempt - 1, 10);
    if (outcome.failed) {
      if (!outcome.failure.may_pass) return outcome.failure.error;
      last = outcome.failure.error.message;
    } else {
      const HttpReply& reply = outcome.reply;
      if (reply.status == 200) return std::move(outcome.reply.body);
      last =
          fmt::format("get {}: found status {} {}, expected 200", url, reply.status, reason_in(reply.body));
      if (reply.status != 429 && reply.status < 500) return network_error(last);
      if (reply.retry_after_s > 0) {
        if (reply.retry_after_s > limits.longest_wait_ms / 1000) {
          return network_error(fmt::format("{}; the server asks to wait {} s, more than the {} s allowed",
                                           last, reply.retry_after_s, limits.longest_wait_ms / 1000));
        }
        pause = reply.retry_after_s * 1000;
      }
    }
    if (attempt == limits.attempts) return network_error(fmt::format("{} (tried {} times)", last, attempt));
    if (!wait(pause)) break;
  }
  if (cancelled()) return Error{ErrorCode::kCancelled, fmt::format("get {}: cancelled", url)};
  return network_error(fmt::format("get {}: gave up after {} ms, the time for one data set; last: {}", url,
                                   limits.total_ms, last));
}

Result<std::size_t> Download::row_count(const json& value, const std::string& url) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaxRecords ||
      value.get<std::uint64_t>() == 0) {
    return network_error(fmt::format(
        "read {}: field \"num_rows_total\": found {}, expected 1 to {}", url,
        quoted_excerpt(value.dump(-1, ' ', true, json::error_handler_t::replace), 40), kMaxRecords));
  }
  const auto total = value.get<std::size_t>();
  if (source_.expected_rows != 0 && total != source_.expected_rows) {
    return network_error(
        fmt::format("read {}: field \"num_rows_total\": found {}, expected the {} rows of the published set",
                    url, total, source_.expected_rows));
  }
  return total;
}

Result<Page> Download::parse_page(const std::string& text, const std::string& url, std::size_t offset) {
  KAKEYA_ASSIGN(json reply, parse_json(text, url));
  if (!reply.is_object() || !reply.contains("rows") || !reply["rows"].is_array()) {
    return network_error(fmt::format("read {}: found {}, expected an object with an array \"rows\"", url,
                                     quoted_excerpt(text, 60)));
  }
  Page page;
  if (reply.contains("num_rows_total")) {
    KAKEYA_ASSIGN(page.total, row_count(reply["num_rows_total"], url));
  }
  if (reply.contains("partial") && reply["partial"] == true) {
    return network_error(fmt::format(
        "read {}: field \"partial\": found true (the server holds a part of the set), expected false", url));
  }
  if (reply["rows"].size() > source_.limits.page_rows) {
    return network_error(fmt::format("read {}: found {} rows, asked for {}", url, reply["rows"].size(),
                                     source_.limits.page_rows));
  }
  for (json& item : reply["rows"]) {
    const std::size_t place = offset + page.rows.size();
    if (!item.is_object() || !item.contains("row")) {
      return network_error(
          fmt::format("read {} row {}: field \"row\" is missing, expected an object", url, place));
    }
    if (item.contains("row_idx") && item["row_idx"] != place) {
      return network_error(fmt::format(
          "read {} row {}: field \"row_idx\": found {}, expected {}", url, place,
          quoted_excerpt(item["row_idx"].dump(-1, ' ', true, json::error_handler_t::replace), 20), place));
    }
    if (item.contains("truncated_cells") && !item["truncated_cells"].empty()) {
      return network_error(
          fmt::format("read {} row {}: found cells cut by the server, expected whole ones", url, place));
    }
    page.rows.push_back(std::move(item["row"]));
  }
  return page;
}

Result<Page> Download::fetch_page(std::size_t offset) {
  const std::string url =
      fmt::format("{}&offset={}&length={}", hub_address(spec_, source_), offset, source_.limits.page_rows);
  KAKEYA_ASSIGN(const std::string text, body(url));
  return parse_page(text, url, offset);
}

Result<std::string> Download::run() {
  const std::string address = hub_address(spec_, source_);
  std::string text;
  std::optional<std::size_t> total;
  std::size_t rows = 0;
  while (!total || rows < *total) {
    KAKEYA_ASSIGN(const Page page, fetch_page(rows));
    if (rows > 0 && page.total != total) {
      return network_error(fmt::format("download {}: \"num_rows_total\" changed from {} to {} at row {}",
                                       address, total.value_or(0), page.total.value_or(0), rows));
    }
    total = page.total;
    if (page.rows.empty()) {
      if (!total && rows > 0) break;  // an old server that gives no total: the empty page is the end
      return network_error(fmt::format("download {}: found an empty page at row {}, expected {} rows",
                                       address, rows, total.value_or(0)));
    }
    for (const json& row : page.rows) {
      KAKEYA_ASSIGN(const std::string line,
                    published_line(spec_.kind, row, fmt::format("{} row {}", address, rows)));
      if (++rows > total.value_or(kMaxRecords) || text.size() + line.size() > kMaxDatasetBytes) {
        return network_error(fmt::format("download {}: found more than {} rows or {} bytes", address,
                                         total.value_or(kMaxRecords), kMaxDatasetBytes));
      }
      text += line;
    }
  }
  return text;
}

}  // namespace

std::string hub_address(const DatasetSpec& spec, const HubSource& source) {
  std::string base = source.base_url;
  while (!base.empty() && base.back() == '/') base.pop_back();
  return fmt::format("{}/rows?dataset={}&config={}&split={}", base, hub::url_escaped(spec.hub_dataset),
                     hub::url_escaped(spec.hub_config), hub::url_escaped(spec.hub_split));
}

Result<std::string> download_jsonl(const DatasetSpec& spec, const HubSource& source) {
  if (source.base_url.rfind("http://", 0) != 0 && source.base_url.rfind("https://", 0) != 0) {
    return invalid_argument(fmt::format("download {}: hub address: found {}, expected http:// or https://",
                                        spec.name, quoted_excerpt(source.base_url, 80)));
  }
  return Download(spec, source).run();
}

}  // namespace kakeya::acceptance
