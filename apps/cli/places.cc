#include "cli/places.h"

#include <cstdlib>

#include "acceptance/files.h"

namespace kakeya::cli {
namespace {

constexpr std::size_t kMaxTokenBytes = 4096;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string token_file() {
  if (const std::string path = environment("HF_TOKEN_PATH"); !path.empty()) return path;
  if (const std::string home = environment("HF_HOME"); !home.empty()) return home + "/token";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.cache/huggingface/token";
}

std::string below_home(const char* variable, const char* otherwise) {
  if (const std::string place = environment(variable); !place.empty()) return place + "/kakeya";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + otherwise + "/kakeya";
}

std::string hub_token() {
  if (const std::string token = trimmed(environment("HF_TOKEN")); !token.empty()) return token;
  const std::string path = token_file();
  if (path.empty()) return {};
  const auto content = acceptance::read_whole_file(path, kMaxTokenBytes);
  return content.ok() ? trimmed(*content) : std::string();
}

}  // namespace

Result<hub::Store> open_store() {
  if (const std::string home = environment("KAKEYA_HOME"); !home.empty()) return hub::Store(home);
  if (const std::string data = environment("XDG_DATA_HOME"); !data.empty())
    return hub::Store(data + "/kakeya");
  const std::string home = environment("HOME");
  if (home.empty()) return invalid_argument("model store: found neither KAKEYA_HOME nor HOME, expected one");
#ifdef __APPLE__
  return hub::Store(home + "/Library/Application Support/kakeya");
#else
  return hub::Store(home + "/.local/share/kakeya");
#endif
}

hub::HubAccess hub_access() {
  hub::HubAccess access;
  if (const std::string endpoint = environment("HF_ENDPOINT"); !endpoint.empty()) access.endpoint = endpoint;
  access.token = hub_token();
  return access;
}

std::string config_directory() { return below_home("XDG_CONFIG_HOME", "/.config"); }

std::string state_directory() { return below_home("XDG_STATE_HOME", "/.local/state"); }

Result<hub::ResolvedModel> resolve_name(const std::string& name) {
  const auto store = open_store();
  // Without a place for a store nothing was pulled; paths are good all the same.
  return hub::resolve_model(name, store.ok() ? *store : hub::Store(""));
}

Status resolve_in_place(std::string& name) {
  KAKEYA_ASSIGN(hub::ResolvedModel resolved, resolve_name(name));
  name = std::move(resolved.path);
  return {};
}

}  // namespace kakeya::cli
