// What the server is told: where to listen, whom to answer, how much to take.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kakeya::serve {

inline constexpr int kDefaultPort = 8017;  // beside the ports that others take: 1337, 8000, 8080, 11434

// What a request that says nothing gets, before the makers' defaults.
struct RequestDefaults {
  std::optional<float> temperature;
  std::optional<std::uint64_t> seed;
  std::optional<int> max_tokens;  // and no request gets more
};

struct Options {
  std::vector<std::string> hosts = {"127.0.0.1", "::1"};
  int port = kDefaultPort;  // 0 = any free one
  std::vector<std::string> api_keys;
  bool insecure_no_auth = false;          // other than loopback addresses without a key
  std::vector<std::string> allow_hosts;   // Host header, besides loopback names; "*" = all
  std::vector<std::string> cors_origins;  // besides the usual local ones; "*" = all

  std::string model_id;                    // as /v1/models lists it; empty = the target's own id
  std::vector<std::string> aliases, tags;  // other names that requests may use; words beside them
  RequestDefaults defaults;
  std::vector<std::string> kv_allowed, draft_kv_allowed;  // that a request may name, the default included

  std::size_t max_body_bytes = std::size_t{16} << 20;
  std::size_t max_prompt_tokens = 0;  // 0 = the context decides
  std::size_t max_connections = 128;
  std::chrono::seconds timeout{0};     // of one request; what was made by then is the answer. 0 = none
  std::chrono::seconds keepalive{10};  // between comments in a silent stream
  std::chrono::seconds grace{30};      // for running requests at the end
  bool show_slots = true, show_metrics = true;  // GET /slots, GET /metrics
  std::string slot_save_path;                   // folder of POST /slots/{id}; empty = refused
  double tripwire = 0;  // acceptance length below which drafts are reported as sick; 0 = off
  bool log_requests = true;
  bool json_log = false;
};

}  // namespace kakeya::serve
