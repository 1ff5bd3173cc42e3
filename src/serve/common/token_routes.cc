// /tokenize, /detokenize (llama-server's and vLLM's fields), /apply-template, /tokenizer_info.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/common/routes.h"
#include "serve/failures.h"
#include "serve/json.h"
#include "serve/openai/chat_request.h"
#include "serve/openai/messages.h"
#include "serve/openai/prompts.h"
#include "serve/openai/tools.h"

namespace kakeya::serve::common {
namespace {

using http::Answer;
using http::Request;

ChatRequest read_template(Fields& fields) {
  ChatRequest chat;
  dialog::DialogRequest unused;
  if (const Json* messages = fields.find("messages")) {
    openai::read_messages(*messages, "messages", fields, chat.messages);
  } else {
    fields.fail("messages", "expected an array of messages.");
  }
  chat.tools_json = openai::read_tools(fields).json;
  openai::read_thinking(fields, chat, unused);
  chat.add_generation_prompt = fields.boolean("add_generation_prompt", true);
  return chat;
}

Json piece(const std::string& bytes) {
  Json numbers = Json::array();
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  try {
    static_cast<void>(Json(bytes).dump());  // strict: throws on what is no UTF-8
    return bytes;
  } catch (const Json::exception&) {
    return numbers;
  }
}

Answer tokenize(const Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  Fields fields(body);
  const bool pieces = fields.boolean("with_pieces", false),
             strings = fields.boolean("return_token_strs", false);
  const bool special = fields.boolean("parse_special", true);
  const char* name = fields.find("content") != nullptr ? "content" : "prompt";
  Result<std::vector<Token>> ids = std::vector<Token>();
  if (fields.find("messages") != nullptr) {
    const ChatRequest chat = read_template(fields);
    if (fields.ok()) ids = context.engine.encode_chat(chat);
  } else {
    const auto text = fields.text(name);
    if (!text) fields.fail(name, "expected a string.");
    if (fields.ok()) ids = context.engine.encode(*text, special);
  }
  if (!fields.ok()) return *fields.error();
  if (!ids.ok()) return api_error(ids.error(), context.draining);
  Json tokens = Json::array(), texts = Json::array();
  for (const Token id : *ids) {
    tokens.push_back(pieces ? Json{{"id", id}, {"piece", piece(context.engine.token_bytes(id))}} : Json(id));
    if (strings) texts.push_back(context.engine.token_bytes(id));
  }
  Json out = {{"tokens", tokens}, {"count", ids->size()}, {"max_model_len", context.context_tokens()}};
  if (strings) out["token_strs"] = texts;
  return json_response(out);
}

Answer detokenize(const Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  Fields fields(body);
  const Json* tokens = fields.array("tokens");
  std::string text;
  for (std::size_t i = 0; tokens != nullptr && i < tokens->size(); ++i) {
    if ((*tokens)[i].is_number_integer()) continue;
    fields.fail("tokens",
                "[" + std::to_string(i) + "]: found " + describe((*tokens)[i]) + ", expected a token id.");
  }
  if (fields.ok() && tokens != nullptr && !tokens->empty()) {
    const auto ids = openai::read_prompts(fields, "tokens", context, {.at_most = 0});
    if (fields.ok()) text = context.engine.decode(ids.front(), false);
  } else if (tokens == nullptr) {
    fields.fail("tokens", "expected an array of token ids.");
  }
  if (!fields.ok()) return *fields.error();
  return json_response({{"content", text}, {"prompt", text}});
}

Answer apply_template(const Context& context, const Request& request) {
  Json body;
  if (auto error = parse_body(request.body, body)) return *error;
  Fields fields(body);
  const ChatRequest chat = read_template(fields);
  if (!fields.ok()) return *fields.error();
  const auto prompt = context.engine.render_chat(chat);
  if (!prompt.ok()) return api_error(prompt.error(), context.draining);
  return json_response({{"prompt", *prompt}});
}

Answer tokenizer_info(const Context& context) {
  const auto& stops = context.engine.stop_ids();
  const Json end = stops.empty() ? Json(nullptr) : Json(context.engine.token_bytes(stops.front()));
  return json_response({{"tokenizer_class", context.engine.template_family()},
                        {"eos_token", end},
                        {"bos_token", nullptr},
                        {"pad_token", nullptr},
                        {"chat_template", nullptr},
                        {"max_length", context.context_tokens()}});
}

}  // namespace

void add_token_routes(http::Router& router, Context& context) {
  router.add(
      {"POST", "/v1/tokenize", [&context](const Request& request) { return tokenize(context, request); }});
  router.add({"POST", "/v1/detokenize",
              [&context](const Request& request) { return detokenize(context, request); }});
  router.add({"POST", "/v1/apply-template",
              [&context](const Request& request) { return apply_template(context, request); }});
  router.add({"GET", "/v1/tokenizer_info", [&context](const Request&) { return tokenizer_info(context); }});
}

}  // namespace kakeya::serve::common
