// cpp-httplib's server with our connections, limits and application in it: one a listening address. Only
// listener.cc needs it.
#pragma once
#include <httplib.h>

#include <atomic>
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
  // After the accepting thread's end, which leaves the socket open when it never came to listen.
  void close_listening();

 private:
  bool process_and_close_socket(socket_t socket) override;  // a private virtual of cpp-httplib
  void refuse(Connection& connection);
  void serve(Connection& connection);
  void set_up(httplib::Request& in);
  HandlerResponse before(httplib::Response& out);
  HandlerResponse fail(httplib::Response& out);
  void send(Response response, httplib::Response& out);
  std::string too_large() const;

  const ListenOptions& options_;
  Application& application_;
  std::atomic<bool>& stopping_;
  std::atomic<std::size_t>& connections_;
};

}  // namespace kakeya::serve::http
