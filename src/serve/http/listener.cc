// Listening addresses and the threads that accept on them.
#include "serve/http/listener.h"

#include <fmt/format.h>

#include <deque>
#include <thread>

#include "serve/http/host_server.h"

namespace kakeya::serve::http {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxPort = 65535;
constexpr milliseconds kRebind{500};
constexpr milliseconds kStreamPatience{2000};

class ListenerImpl : public Listener {
 public:
  ListenerImpl(const ListenOptions& options, Application& application)
      : options_(options), application_(application) {}
  ~ListenerImpl() override { stop(); }

  Status bind() {
    for (const std::string& host : options_.hosts) {
      auto server = std::make_unique<HostServer>(options_, application_, stopping_, connections_);
      const int wanted = port_ != 0 ? port_ : options_.port;
      const int got =
          wanted != 0 ? (server->bind_to_port(host, wanted) ? wanted : -1) : server->bind_to_any_port(host);
      if (got <= 0 || got > kMaxPort) {
        if (!bound_.empty()) continue;
        return io_error(
            fmt::format("listen: {} port {}: found it in use, or no address of this machine", host, wanted));
      }
      port_ = got;
      server->lengthen_queue();
      bound_.push_back(host);
      servers_.push_back(std::move(server));
      ended_.emplace_back(false);
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      threads_.emplace_back([this, i] { accept_on(i); });
    }
    return {};
  }

  int port() const override { return port_; }
  const std::vector<std::string>& hosts() const override { return bound_; }
  std::size_t connections() const override { return connections_; }

  void stop() override {
    if (stopping_.exchange(true)) return;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      // cpp-httplib's stop() is lost before its loop turns, and may not be called twice.
      while (!ended_[i] && !servers_[i]->is_running()) std::this_thread::sleep_for(milliseconds(1));
      servers_[i]->wait_for_streams(kStreamPatience);
      if (!ended_[i]) servers_[i]->stop();
      threads_[i].join();
      servers_[i]->close_listening();
    }
  }

 private:
  void accept_on(std::size_t i) {
    HostServer& server = *servers_[i];
    // A bound socket is closed by the end of its loop alone, so the loop runs even when the end was asked for
    // before.
    bool bound = true;
    while (bound) {
      server.listen_after_bind();
      bound = false;
      // It also ends when accept() fails, for example because a client gave up in the queue.
      while (!bound && !stopping_) {
        bound = server.bind_to_port(bound_[i], port_);
        if (bound) server.lengthen_queue();
        if (!bound) std::this_thread::sleep_for(kRebind);
      }
    }
    ended_[i] = true;
  }

  const ListenOptions options_;
  Application& application_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> connections_{0};
  std::vector<std::unique_ptr<HostServer>> servers_;
  std::vector<std::thread> threads_;
  std::deque<std::atomic<bool>> ended_;
  std::vector<std::string> bound_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const ListenOptions& options, Application& application) {
  if (options.hosts.empty()) return invalid_argument("listen: no address given");
  auto listener = std::make_unique<ListenerImpl>(options, application);
  KAKEYA_TRY(listener->bind());
  return std::unique_ptr<Listener>(std::move(listener));
}

}  // namespace kakeya::serve::http
