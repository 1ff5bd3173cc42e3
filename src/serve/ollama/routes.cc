#include "serve/ollama/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/json.h"
#include "serve/ollama/catalog.h"
#include "serve/ollama/lines.h"
#include "serve/ollama/request.h"
#include "serve/replies.h"
#include "serve/report.h"
#include "serve/shared_fields.h"
#include "serve/switches.h"

namespace kakeya::serve::ollama {
namespace {

using http::ApiError;
using http::Request;
using http::Response;
constexpr std::size_t kMaxTexts = 2048;  // as OpenAI's embeddings

Response text_error(const ApiError& error) {
  Response response;
  response.status = error.status;
  response.body = dump({{"error", error.message}});
  http::add_error_headers(error, response);
  return response;
}

// Clients look for these words ("model", "not found") and for 404.
std::optional<ApiError> check_model(const Context& context, const std::string& model) {
  if (context.serves(model)) return {};
  ApiError error = model_not_found(model, context.model_id);
  error.message = fmt::format("model '{}' not found; this server has '{}'", model, context.model_id);
  return error;
}

// Ollama takes bodies of any type, and clients rely on it: LiteLLM and curl -d name none or another. Only
// pages of the web, which always send an Origin, must name JSON: so that the browser asks first.
std::optional<ApiError> check_type(const Request& request) {
  if (request.method != "POST" || !request.headers.has("origin")) return {};
  const std::string_view type = request.headers.get("content-type");
  if (http::equal_ignoring_case(type.substr(0, type.find_first_of("; ")), "application/json")) return {};
  ApiError error;
  error.status = 415;
  error.message = fmt::format("Content-Type: found '{}', expected application/json", type);
  return error;
}

// The ids of a raw prompt. Special tokens in it are meant: the caller wrote the template. Between two texts
// the model's own tokens go, and the texts are ordinary ones.
Result<std::vector<Token>> raw_tokens(const Engine& engine, const Call::Raw& raw) {
  if (!raw.infill) return engine.encode(raw.prompt, true);
  if (!can_infill(engine)) return unsupported("suffix: this model has no tokens for filling in");
  std::vector<Token> ids;
  const std::pair<std::string, bool> pieces[] = {{"<|fim_prefix|>", true},
                                                 {raw.prompt, false},
                                                 {"<|fim_suffix|>", true},
                                                 {raw.suffix, false},
                                                 {"<|fim_middle|>", true}};
  for (const auto& [text, special] : pieces) {
    KAKEYA_ASSIGN(const std::vector<Token> part, engine.encode(text, special));
    ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

Response stream_lines(Context& context, std::shared_ptr<Replies> replies, std::shared_ptr<Lines> lines) {
  Response response;
  response.content_type = "application/x-ndjson";
  response.stream = [&context, replies, lines](http::Writer& writer) {
    DriveHooks hooks;
    const auto send = [&](const Json& line) { return writer.write(dump(line) + "\n"); };
    hooks.part = [&](std::size_t, const dialog::AnswerPart& part) {
      const std::vector<Json> made = lines->add(part, report_of(part, context));
      return std::all_of(made.begin(), made.end(), send);
    };
    hooks.gone = [&] { return writer.gone(); };
    hooks.silent = [&] { return send(lines->keepalive()); };
    if (drive(context, *replies, hooks) == DriveEnd::kGone) context.metrics.abandoned();
  };
  return response;
}

http::Answer whole_answer(Context& context, const Request& request, Replies& replies, Lines& lines) {
  std::vector<WholeAnswer> unused;
  const auto add = [&](const dialog::AnswerPart& part) { lines.add(part, report_of(part, context)); };
  if (const auto error = collect(context, request, replies, unused, add)) return *error;
  return json_response(lines.whole());
}

http::Answer answer(Context& context, const Request& request, std::variant<Call, ApiError> read) {
  if (const auto* error = std::get_if<ApiError>(&read)) return *error;
  Call& call = std::get<Call>(read);
  if (const auto error = check_model(context, call.model)) return *error;
  if (const auto error = apply_switches(call.switches, context, call.request)) return *error;
  auto lines = std::make_shared<Lines>(call.model, call.generate);
  if (call.load_only) return json_response(lines->loaded(false));
  if (call.raw) {
    auto ids = raw_tokens(context.engine, *call.raw);
    if (!ids.ok()) return api_error(ids.error(), context.draining);
    call.request.input = std::move(ids).value();
  }
  call.request.client = request.remote;
  auto replies = std::make_shared<Replies>();
  if (const auto error = ask_all(context, {std::move(call.request)}, 1, *replies)) return *error;
  if (call.stream) return stream_lines(context, std::move(replies), std::move(lines));
  return whole_answer(context, request, *replies, *lines);
}

// Vectors of several texts; of length one, as Ollama's /api/embed makes them.
http::Answer embed(Context& context, const Request& request, bool old_route) {
  const auto start = std::chrono::steady_clock::now();
  Json body;
  if (const auto error = parse_body(request.body, body)) return *error;
  Fields fields(body);
  const std::string model = fields.text("model").value_or("");
  const std::vector<std::string> texts = fields.texts(old_route ? "prompt" : "input", kMaxTexts);
  refuse_switches(fields);
  const bool truncate = fields.boolean("truncate", true);
  if (fields.error()) return *fields.error();
  if (const auto error = check_model(context, model)) return *error;
  Json vectors = Json::array();
  std::size_t tokens = 0;
  for (const std::string& text : texts) {
    auto ids = context.engine.encode(text, false);
    if (!ids.ok()) return api_error(ids.error(), context.draining);
    std::vector<Token> input = std::move(ids).value();
    if (truncate && input.size() > context.context_tokens()) input.resize(context.context_tokens());
    if (input.size() > context.context_tokens()) {
      return api_error({ErrorCode::kContextOverflow,
                        fmt::format("input: this model's maximum context length is {} tokens, found {}.",
                                    context.context_tokens(), input.size())},
                       false);
    }
    auto vector = context.service.embed(input);
    if (!vector.ok()) return api_error(vector.error(), context.draining);
    double square = 0;
    for (const float x : vector.value()) square += static_cast<double>(x) * static_cast<double>(x);
    const double scale = old_route || square == 0 ? 1 : 1 / std::sqrt(square);
    Json numbers = Json::array();
    for (const float x : vector.value())
      numbers.push_back(static_cast<float>(static_cast<double>(x) * scale));
    vectors.push_back(std::move(numbers));
    tokens += input.size();
  }
  if (old_route) return json_response({{"embedding", vectors.empty() ? Json::array() : vectors[0]}});
  const auto spent = std::chrono::steady_clock::now() - start;
  return json_response(
      {{"model", model},
       {"embeddings", std::move(vectors)},
       {"total_duration", std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()},
       {"load_duration", 0},
       {"prompt_eval_count", tokens}});
}

http::Answer show_model(Context& context, const Request& request) {
  Json body;
  if (const auto error = parse_body(request.body, body)) return *error;
  Fields fields(body);
  const std::string name = fields.text("name").value_or("");  // older clients
  const std::string model = fields.text("model").value_or(name);
  if (fields.error()) return *fields.error();
  if (const auto error = check_model(context, model)) return *error;
  return json_response(show(context));
}

}  // namespace

void add_routes(http::Router& router, Context& context) {
  const auto add = [&](const char* method, const char* path,
                       std::function<http::Answer(const Request&)> handler) {
    const auto typed = [handler = std::move(handler)](const Request& request) -> http::Answer {
      if (const auto error = check_type(request)) return *error;
      return handler(request);
    };
    router.add({method, path, typed, false, text_error, false});
  };
  add("GET", "/api/version", [](const Request&) { return json_response({{"version", kApiVersion}}); });
  add("GET", "/api/tags", [&context](const Request&) { return json_response(tags(context)); });
  add("GET", "/api/ps", [&context](const Request&) { return json_response(running(context)); });
  add("POST", "/api/show", [&context](const Request& request) { return show_model(context, request); });
  add("POST", "/api/chat",
      [&context](const Request& request) { return answer(context, request, read_chat(request.body)); });
  add("POST", "/api/generate",
      [&context](const Request& request) { return answer(context, request, read_generate(request.body)); });
  add("POST", "/api/embed", [&context](const Request& request) { return embed(context, request, false); });
  add("POST", "/api/embeddings",
      [&context](const Request& request) { return embed(context, request, true); });
}

}  // namespace kakeya::serve::ollama
