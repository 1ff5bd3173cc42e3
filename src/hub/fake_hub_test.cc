// The server of fake_hub.h, and a test that its digests are those of git and sha256sum.
#include "hub/fake_hub.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/digest.h"
#include "base/sha256.h"

namespace kakeya::hub {
namespace {

using nlohmann::json;

std::string git_blob(const std::string& content) {
  base::Digest digest(base::DigestKind::kSha1);
  std::string text = "blob " + std::to_string(content.size());
  text += '\0';
  text += content;
  digest.update(std::as_bytes(std::span(text.data(), text.size())));
  return digest.hex();
}

}  // namespace

struct FakeHub::Server {
  explicit Server(FakeHub& owner) : hub(owner) {
    http.Get(R"(/api/models/([^/]+/[^/]+)/revision/(.+))",
             [this](const httplib::Request& q, httplib::Response& r) { list(q, r); });
    http.Get(R"(/([^/]+/[^/]+)/resolve/([^/]+)/(.+))",
             [this](const httplib::Request& q, httplib::Response& r) { file(q, r); });
    port = http.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { http.listen_after_bind(); });
    while (!http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Server() {
    stopping = true;
    http.stop();
    thread.join();
  }

  void note(const httplib::Request& request) {
    const std::lock_guard lock(mutex);
    seen.push_back(
        {request.path, request.get_header_value("Range"), request.get_header_value("Authorization")});
  }

  void list(const httplib::Request& request, httplib::Response& response) {
    note(request);
    response.status = hub.listing_status;
    if (hub.listing_status != 200)
      return response.set_content("{\"error\": \"not you\"}", "application/json");
    if (!hub.raw_listing.empty()) return response.set_content(hub.raw_listing, "application/json");
    if (request.matches[1] != hub.repository) {
      response.status = 404;
      return response.set_content("{\"error\": \"Repository not found\"}", "application/json");
    }
    json siblings = json::array();
    for (const auto& [path, file] : hub.files) {
      const std::int64_t size =
          file.listed_size >= 0 ? file.listed_size : static_cast<std::int64_t>(file.content.size());
      json item = {{"rfilename", path}, {"size", size}};
      item["blobId"] = file.listed_oid.empty() ? git_blob(file.content) : file.listed_oid;
      if (file.lfs) {
        item["lfs"] = {
            {"size", size},
            {"sha256", file.listed_sha256.empty() ? base::sha256_hex(std::string_view(file.content))
                                                  : file.listed_sha256},
            {"pointerSize", 130}};
      }
      siblings.push_back(item);
    }
    response.set_content(json({{"id", hub.repository}, {"sha", hub.commit}, {"siblings", siblings}}).dump(),
                         "application/json");
  }

  template <class T>
  T next(std::vector<T>& list, T otherwise) {
    const std::lock_guard lock(mutex);
    if (list.empty()) return otherwise;
    const T first = list.front();
    list.erase(list.begin());
    return first;
  }

  void file(const httplib::Request& request, httplib::Response& response) {
    note(request);
    ++file_requests;
    FakeTrouble& planned = hub.trouble;
    if (!planned.redirect.empty()) return response.set_redirect(planned.redirect + request.path);
    if (const int status = next(planned.statuses, 0); status != 0) {
      response.status = status;
      if (!planned.retry_after.empty()) response.set_header("Retry-After", planned.retry_after);
      return response.set_content("{\"error\": \"go away\"}", "application/json");
    }
    const auto found = hub.files.find(request.matches[3]);
    if (request.matches[2] != hub.commit || found == hub.files.end()) {
      response.status = 404;
      return;
    }
    for (int ms = 0; ms < planned.stall_ms && !stopping; ms += 10) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    send(request, response, found->second.content);
  }

  void send(const httplib::Request& request, httplib::Response& response, std::string content) {
    FakeTrouble& planned = hub.trouble;
    if (planned.wrong_times > 0) {
      --planned.wrong_times;
      for (char& c : content) c = static_cast<char>(c ^ 1);
    }
    if (planned.endless) {
      return response.set_chunked_content_provider(
          "application/octet-stream", [this](std::size_t, httplib::DataSink& sink) {
            const std::string zeros(65536, '0');
            return !stopping && sink.write(zeros.data(), zeros.size());
          });
    }
    if (planned.other_length) content += "and more";
    std::size_t begin = 0;
    const std::string range = request.get_header_value("Range");
    // httplib cuts ranges itself; a provider without a length lets us do it, rightly or wrongly.
    if (!range.empty() && !planned.ignore_range) {
      begin = std::min<std::size_t>(std::stoul(range.substr(range.find('=') + 1)), content.size());
      response.status = 206;
      response.set_header("Content-Range",
                          "bytes " + std::to_string(planned.wrong_range ? begin + 1 : begin) + "-" +
                              std::to_string(content.size() - 1) + "/" + std::to_string(content.size()));
    }
    const std::int64_t cut = next<std::int64_t>(planned.cut_after, -1);
    const std::string body = content.substr(begin);
    const std::size_t send_bytes = cut < 0 ? body.size() : std::min<std::size_t>(body.size(), cut);
    const_cast<httplib::Request&>(request).ranges.clear();
    response.set_content_provider(body.size(), "application/octet-stream",
                                  [body, send_bytes](std::size_t at, std::size_t, httplib::DataSink& sink) {
                                    if (at >= send_bytes) return false;  // the connection ends
                                    return sink.write(body.data() + at, send_bytes - at);
                                  });
  }

  FakeHub& hub;
  httplib::Server http;
  std::thread thread;
  std::mutex mutex;
  std::vector<FakeHub::Seen> seen;
  std::atomic<int> file_requests{0};
  std::atomic<bool> stopping{false};
  int port = 0;
};

FakeHub::FakeHub() : server_(std::make_unique<Server>(*this)) {}
FakeHub::~FakeHub() = default;
int FakeHub::port() const { return server_->port; }
std::string FakeHub::address() const { return "http://127.0.0.1:" + std::to_string(server_->port); }
int FakeHub::file_requests() { return server_->file_requests; }
std::vector<FakeHub::Seen> FakeHub::seen() {
  const std::lock_guard lock(server_->mutex);
  return server_->seen;
}

TEST(FakeHub, ComputesTheDigestsOfGitAndSha256sum) {
  // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
  EXPECT_EQ(git_blob("hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(base::sha256_hex(std::string_view("hello\n")),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
}

}  // namespace kakeya::hub
