// For tests: a Hugging Face hub on the loopback address that can be told to misbehave.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kakeya::hub {

struct FakeFile {
  std::string content;
  bool lfs = false;
  std::string listed_sha256 = {}, listed_oid = {};  // empty = the truth
  std::int64_t listed_size = -1;                    // -1 = the truth
};

// What the next requests for files meet; each entry of a list is used up by one request.
struct FakeTrouble {
  std::vector<int> statuses;            // 0 = no trouble for that request
  std::vector<std::int64_t> cut_after;  // bytes sent before the connection ends; -1 = no cut
  std::string retry_after;
  std::string wrong_bytes;  // sent instead of the content, of the same length
  int wrong_times = 0;
  bool ignore_range = false, wrong_range = false, endless = false, other_length = false;
  int stall_ms = 0;      // before the first byte
  std::string redirect;  // base address that files are redirected to
};

class FakeHub {
 public:
  FakeHub();
  ~FakeHub();
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  std::string address() const;  // "http://127.0.0.1:PORT"
  int port() const;

  // Set before requests run.
  std::map<std::string, FakeFile> files;  // by path
  std::string commit = "0123456789abcdef0123456789abcdef01234567";
  std::string repository = "org/model";
  std::string raw_listing;  // sent as the listing when not empty
  int listing_status = 200;
  FakeTrouble trouble;

  struct Seen {
    std::string path, range, authorization;
  };
  std::vector<Seen> seen();  // requests, in order
  int file_requests();

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace kakeya::hub
