// cpp-httplib's server with our connections, limits and application in it: one a listening address. Only
// listener.cc needs it.
#pragma once
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <string>

#include "serve/http/connection.h"
#include "serve/http/listener.h"

namespace kakeya::serve::http {

class HostServer : public httplib::Server {
 public:
  HostServer(const ListenOptions& options, Application& application, std::atomic<bool>& stopping,
             std::atomic<std::size_t>& connections);

  // After binding: cpp-httplib's own queue of five drops clients that come together.
  void lengthen_queue();
  // Until every answer that is being made has begun to be written, `patience` at most: cpp-httplib writes
  // nothing of a stream that begins after its end.
  void wait_for_streams(std::chrono::milliseconds patience) const;
  // After the accepting thread's end, which leaves the socket open when it never came to listen.
  void close_listening();

 private:
  bool process_and_close_socket(socket_t socket) override;  // a private virtual of cpp-httplib
  void refuse(Connection& connection);
  void serve(Connection& connection);
  void set_up(httplib::Request& in);
  HandlerResponse before(httplib::Response& out);
  HandlerResponse fail(httplib::Response& out);
  void answer(httplib::Response& out);  // by the application
  void send(Response response, httplib::Response& out);
  std::string too_large() const;

  const ListenOptions& options_;
  Application& application_;
  std::atomic<bool>& stopping_;
  std::atomic<std::size_t>& connections_;
  std::atomic<std::size_t> unstarted_{0};  // answers that are being made, and streams nobody writes yet
};

}  // namespace kakeya::serve::http
