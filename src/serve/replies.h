// Asking for several answers at once, and collecting whole ones. Every family of routes does it here.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/drive.h"
#include "serve/json.h"

namespace kakeya::serve {

using Replies = std::vector<std::unique_ptr<dialog::Reply>>;

// What the server's flags say where the request says nothing; more tokens than they allow are fewer.
void apply_defaults(const RequestDefaults& defaults, dialog::DialogRequest& request);
// Every request `n` times, with the server's defaults; a seed counts up among the n. On an error nothing is
// left running. More answers than slots and queue hold would be refused for ever, and so are a mistake.
// `prompt_field`: what an error about the prompt's length names.
std::optional<http::ApiError> ask_all(Context& context, const std::vector<dialog::DialogRequest>& requests,
                                      int n, Replies& replies, const char* prompt_field = "messages");
// Until all are whole. An error when one failed, the server closed, the time passed or the client left.
// `each`, where given, sees every part on its way.
std::optional<http::ApiError> collect(Context& context, const http::Request& request, Replies& replies,
                                      std::vector<WholeAnswer>& answers,
                                      const std::function<void(const dialog::AnswerPart&)>& each = {});
// Whose turn it is in the queue: the address, and `user` where clients say it.
std::string client_of(const http::Request& request, const Json& body);

}  // namespace kakeya::serve
