#include "serve/common/routes.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/json.h"

namespace kakeya::serve::common {
namespace {

using http::Answer;
using http::Request;
using http::Response;

// The thread that runs the models turns even when idle; one pass of a long prompt takes its time.
constexpr double kDeadMs = 600'000;

Answer health(const Context& context) {
  http::ApiError error;
  error.status = 503;
  error.type = "unavailable_error";
  error.retry = true;
  error.retry_after_s = 5;
  if (context.draining) {
    error.message = "The server is closing.";
    return error;
  }
  if (context.service.stats().heartbeat_age_ms > kDeadMs) {
    error.message = "The loop that runs the models does not turn any more.";
    return error;
  }
  return json_response({{"status", "ok"}});
}

Json model_json(const Context& context) {
  const ModelInfo& info = context.engine.target();
  return {{"id", context.model_id},
          {"aliases", context.options.aliases},
          {"tags", context.options.tags},
          {"object", "model"},
          {"created", context.started_at},
          {"owned_by", "kakeya"},
          {"max_model_len", context.context_tokens()},
          {"meta",
           {{"n_ctx_train", info.max_position_embeddings},
            {"n_vocab", info.vocab_size},
            {"n_embd", info.hidden_size},
            {"n_params", info.parameters},
            {"size", info.weight_bytes}}}};
}

Answer one_model(const Context& context, const Request& request) {
  if (!context.serves(request.rest)) return model_not_found(request.rest, context.model_id);
  return json_response(model_json(context));
}

Answer props(const Context& context) {
  const SamplingDefaults& defaults = context.engine.sampling_defaults();
  const auto& service = context.service.options();
  const ModelInfo* draft = context.engine.draft();
  std::vector<std::string> channels = context.options.kv_allowed;
  if (std::find(channels.begin(), channels.end(), service.session.kv) == channels.end()) {
    channels.insert(channels.begin(), service.session.kv);
  }
  const RequestDefaults& own = context.options.defaults;
  const Json params = {{"seed", own.seed ? Json(*own.seed) : Json(-1)},  // -1: drawn for each request
                       {"n_predict", own.max_tokens.value_or(-1)},
                       {"temperature", own.temperature.value_or(defaults.temperature.value_or(0))},
                       {"top_k", defaults.top_k.value_or(0)},
                       {"top_p", defaults.top_p.value_or(1)},
                       {"min_p", defaults.min_p.value_or(0)},
                       {"repeat_penalty", defaults.repetition_penalty.value_or(1)}};
  return json_response(
      {{"default_generation_settings", {{"n_ctx", context.context_tokens()}, {"params", params}}},
       {"total_slots", service.slots},
       {"model_alias", context.model_id},
       {"model_path", context.engine.target().path},
       {"modalities", {{"vision", false}, {"audio", false}}},
       {"chat_template_family", context.engine.template_family()},
       {"build_info", std::string(version()) + "-" + build_commit()},
       {"kakeya",
        {{"kv", service.session.kv},
         {"kv_allowed", channels},
         {"draft", draft == nullptr ? Json(nullptr) : Json(draft->id)},
         {"draft_kv", service.session.draft_kv},
         {"isa", context.engine.isa()},
         {"threads", context.engine.threads()}}}});
}

Answer metrics(const Context& context) {
  if (!context.options.show_metrics) return switched_off("counters", "--no-metrics");
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.headers.emplace_back("Process-Start-Time-Unix", std::to_string(context.started_at));
  response.body = context.metrics.text(context.service.stats(), context.service.options().slots,
                                       context.context_tokens(), context.model_id);
  return response;
}

}  // namespace

http::ApiError switched_off(const char* what, const char* flag) {
  http::ApiError error;
  error.status = 501;
  error.type = "not_supported_error";
  error.code = "switched_off";
  error.message = fmt::format("This server does not show its {}: it was started with {}.", what, flag);
  return error;
}

void add_routes(http::Router& router, Context& context) {
  for (const char* path : {"/v1/health", "/ready"}) {
    router.add({"GET", path, [&context](const Request&) { return health(context); }, true});
  }
  router.add({"GET", "/ping",
              [](const Request&) {
                return Answer(json_response({{"status", "ok"}}));
              },
              true});
  router.add({"GET", "/v1/version",
              [](const Request&) {
                return Answer(json_response({{"version", version()}}));
              },
              true});
  router.add({"GET", "/v1/models", [&context](const Request&) -> Answer {
                return json_response({{"object", "list"}, {"data", Json::array({model_json(context)})}});
              }});
  router.add(
      {"GET", "/v1/models/*", [&context](const Request& request) { return one_model(context, request); }});
  router.add({"GET", "/v1/props", [&context](const Request&) { return props(context); }});
  router.add({"GET", "/metrics", [&context](const Request&) { return metrics(context); }});
  add_slot_routes(router, context);
  add_token_routes(router, context);
}

}  // namespace kakeya::serve::common
