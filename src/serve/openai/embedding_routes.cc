// POST /v1/embeddings: unit vectors, as numbers or base64 of little-endian float32.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/openai/generation_fields.h"
#include "serve/openai/prompts.h"
#include "serve/openai/routes.h"
#include "serve/shared_fields.h"

namespace kakeya::serve::openai {
namespace {

using http::Answer;
using http::Request;

constexpr std::size_t kMaxInputs = 2048;
static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian floats");

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

void normalise(std::vector<float>& vector) {
  double sum = 0;
  for (const float x : vector) sum += static_cast<double>(x) * x;
  if (sum <= 0) return;
  const double scale = 1 / std::sqrt(sum);
  for (float& x : vector) x = static_cast<float>(x * scale);
}

Json vector_json(const std::vector<float>& vector, bool as_base64) {
  if (!as_base64) return vector;
  std::string bytes(vector.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return base64(bytes);
}

struct EmbeddingCall {
  std::vector<std::vector<Token>> inputs;
  bool base64 = false;
};

std::optional<http::ApiError> read_embedding(const Json& body, const Context& context, EmbeddingCall& out) {
  if (auto error = check_model(body, context)) return error;
  Fields fields(body);
  refuse_switches(fields);
  const std::string format = fields.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") {
    fields.fail("encoding_format", fmt::format("found '{}', expected float or base64.", format));
  }
  out.base64 = format == "base64";
  const auto width = static_cast<std::int64_t>(context.engine.target().hidden_size);
  const auto dimensions = fields.integer("dimensions", 1);
  if (dimensions && *dimensions != width) {
    fields.refuse("dimensions",
                  fmt::format("found {}, expected {}, what the model has.", *dimensions, width));
  }
  out.inputs =
      read_prompts(fields, "input", context, {.at_most = kMaxInputs, .parse_special = false, .mixed = true});
  for (std::size_t i = 0; i < out.inputs.size(); ++i) {
    if (out.inputs[i].size() <= context.context_tokens()) continue;
    http::ApiError error =
        api_error({ErrorCode::kContextOverflow,
                   fmt::format("This model's maximum context length is {} tokens. However, input {} has {}.",
                               context.context_tokens(), i, out.inputs[i].size())},
                  false);
    error.param = "input";
    fields.fail(std::move(error));
  }
  return fields.error();
}

Answer embeddings(Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  EmbeddingCall call;
  if (auto error = read_embedding(body, context, call)) return *error;
  Json data = Json::array();
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (request.gone && request.gone()) return api_error({ErrorCode::kCancelled, "the client left"}, false);
    auto vector = context.service.embed(call.inputs[i]);
    if (!vector.ok()) return api_error(vector.error(), context.draining);
    normalise(*vector);
    tokens += call.inputs[i].size();
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", vector_json(*vector, call.base64)}});
  }
  return json_response({{"object", "list"},
                        {"data", std::move(data)},
                        {"model", context.model_id},
                        {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}});
}

}  // namespace

void add_embedding_routes(http::Router& router, Context& context) {
  router.add({"POST", "/v1/embeddings",
              [&context](const Request& request) { return embeddings(context, request); }});
}

}  // namespace kakeya::serve::openai
