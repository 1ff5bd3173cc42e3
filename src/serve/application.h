// Rules of the whole server around each route's function: Host, keys, CORS, methods, content types, log.
#pragma once
#include <memory>

#include "serve/context.h"
#include "serve/http/access.h"
#include "serve/http/listener.h"
#include "serve/http/router.h"

namespace kakeya::serve {

class ServerApplication : public http::Application {
 public:
  ServerApplication(Context& context, http::AccessOptions access);

  std::optional<http::Response> before_body(http::Request& request) override;
  http::Response handle(http::Request& request) override;
  http::Response broken(const http::Request& request, int status, const std::string& why) override;
  void finish(const http::Request& request, http::Response& response) override;

 private:
  Context& context_;
  http::Access access_;
  http::Router router_;
};

}  // namespace kakeya::serve
