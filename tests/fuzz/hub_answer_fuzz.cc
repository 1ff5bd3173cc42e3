// What a hub's server may send: statuses, redirects, Retry-After, Content-Length, Content-Range and bodies,
// read by the real client over a loopback socket. The first byte says what is asked for: L a listing, F a
// file, R the rest of a file, C a file whose beginning on disk is wrong. Then come the answers, one a
// connection, with kBetween between.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/sha256.h"
#include "hub/file_fetch.h"
#include "loopback.h"

namespace {

using namespace kakeya::hub;
namespace fs = std::filesystem;

constexpr std::string_view kBetween = "\n=====\n";
const std::string kContent = "0123456789abcdef";

// Whatever address a redirect names, the connection goes to the server of the target: it is everybody's
// proxy.
struct Net {
  Net() {
    const std::string proxy = "http://127.0.0.1:" + std::to_string(server.port());
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy"}) ::setenv(name, proxy.c_str(), 1);
    for (const char* name : {"no_proxy", "NO_PROXY"}) ::unsetenv(name);
    std::string name = (fs::temp_directory_path() / "kakeya-fuzz-hub-XXXXXX").string();
    FUZZ_CHECK(::mkdtemp(name.data()) != nullptr);
    directory = name;
    access.endpoint = "http://hub.test";
    access.retry = {3, 0, 0};
    access.connect_ms = access.answer_ms = 2000;
  }
  ~Net() { fs::remove_all(directory); }

  ScriptedServer server;
  fs::path directory;
  HubAccess access;
};

std::deque<std::string> split(std::string_view text) {
  std::deque<std::string> out;
  for (;;) {
    const std::size_t at = text.find(kBetween);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + kBetween.size());
  }
}

// Messages go to a terminal: a server's bytes must not steer it.
void check_message(const kakeya::Error& error) {
  FUZZ_CHECK(!error.message.empty());
  for (const char c : error.message) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void list(const Net& net) {
  const auto listing = list_files(net.access, *parse_model_id("org/repo"), "main");
  if (!listing.ok()) return check_message(listing.error());
  for (const HubFile& file : listing->files) FUZZ_CHECK(is_safe_path(file.path));
}

void fetch(const Net& net, const std::string& beginning) {
  const fs::path path = net.directory / "weights", part = net.directory / "weights.part";
  fs::remove(path);
  fs::remove(part);
  if (!beginning.empty()) std::ofstream(part, std::ios::binary) << beginning;
  static const std::string digest = kakeya::base::sha256_hex(kContent);
  const FetchTask task{*parse_model_id("org/repo"),
                       std::string(40, 'a'),
                       {"weights", kContent.size(), digest, ""},
                       path.string(),
                       {}};
  const auto fetched = fetch_file(net.access, task);
  if (fetched.ok()) {
    FUZZ_CHECK(content_of(path) == kContent && !fs::exists(part));
  } else {
    check_message(fetched.error());
    FUZZ_CHECK(!fs::exists(path));
    FUZZ_CHECK(!fs::exists(part) || fs::file_size(part) <= kContent.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Net net;
  if (size == 0) return 0;
  net.server.answer_with(split(as_text(data + 1, size - 1)));
  switch (data[0]) {
    case 'L':
      list(net);
      break;
    case 'F':
      fetch(net, "");
      break;
    case 'R':
      fetch(net, kContent.substr(0, 5));
      break;
    case 'C':
      fetch(net, "wrong");
      break;
    default:
      break;
  }
  return 0;
}
