#include "serve/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "serve/anthropic/routes.h"
#include "serve/application.h"
#include "serve/common/routes.h"
#include "serve/llama/routes.h"
#include "serve/ollama/routes.h"
#include "serve/openai/routes.h"
#include "serve/page/routes.h"
#include "serve/responses/routes.h"

namespace kakeya::serve {
namespace {

bool all_loopback(const std::vector<std::string>& hosts) {
  return std::all_of(hosts.begin(), hosts.end(),
                     [](const std::string& host) { return http::loopback_name(host); });
}

Status check(const Options& options) {
  if (all_loopback(options.hosts) || !options.api_keys.empty() || options.insecure_no_auth) return {};
  return invalid_argument(fmt::format(
      "--host {}: other machines could use this server, expected --api-key KEY (or KAKEYA_API_KEY), "
      "or --insecure-no-auth if that is meant",
      fmt::join(options.hosts, ",")));
}

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class ServerImpl : public Server {
 public:
  ServerImpl(const Engine& engine, Service& service, Options options, AskFunction ask)
      : options_(std::move(options)), metrics_(options_.tripwire), context_{engine,        service,
                                                                            options_,      std::move(ask),
                                                                            metrics_,      options_.model_id,
                                                                            unix_seconds()} {
    if (context_.model_id.empty()) context_.model_id = engine.target().id;
    http::AccessOptions access;
    access.api_keys = options_.api_keys;
    access.allow_hosts = options_.allow_hosts;
    access.cors_origins = options_.cors_origins;
    access.loopback = all_loopback(options_.hosts);
    application_ = std::make_unique<ServerApplication>(context_, std::move(access));
  }

  Status listen() {
    http::ListenOptions listen;
    listen.hosts = options_.hosts;
    listen.port = options_.port;
    listen.max_body_bytes = options_.max_body_bytes;
    listen.max_connections = options_.max_connections;
    KAKEYA_ASSIGN(listener_, http::Listener::open(listen, *application_));
    return {};
  }

  int port() const override { return listener_->port(); }

  std::vector<std::string> urls() const override {
    std::vector<std::string> urls;
    for (const std::string& host : listener_->hosts()) {
      const bool v6 = host.find(':') != std::string::npos;
      urls.push_back(fmt::format("http://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port()));
    }
    return urls;
  }

  void drain() override {
    context_.draining = true;
    context_.service.drain(options_.grace);
    listener_->stop();
  }

 private:
  Options options_;
  Metrics metrics_;
  Context context_;
  std::unique_ptr<ServerApplication> application_;
  std::unique_ptr<http::Listener> listener_;  // first to go: its threads use the rest
};

}  // namespace

void add_routes(http::Router& router, Context& context) {
  common::add_routes(router, context);
  openai::add_chat_routes(router, context);
  openai::add_completion_routes(router, context);
  openai::add_embedding_routes(router, context);
  llama::add_routes(router, context);
  responses::add_routes(router, context);
  anthropic::add_routes(router, context);
  ollama::add_routes(router, context);
  page::add_routes(router);
}

Result<std::unique_ptr<Server>> Server::start(const Engine& engine, Service& service, Options options,
                                              AskFunction ask) {
  KAKEYA_TRY(check(options));
  auto server = std::make_unique<ServerImpl>(engine, service, std::move(options), std::move(ask));
  KAKEYA_TRY(server->listen());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace kakeya::serve
