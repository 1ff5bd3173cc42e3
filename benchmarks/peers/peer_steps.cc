// Times steps of llama.cpp on request: one JSON object a line on stdin, one answer a line on stdout.
// The protocol is that of `kakeya-llm bench speed --interactive`; benchmarks/peers/README.md describes it.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "peer_model.h"

namespace peers {
namespace {

using nlohmann::json;

PeerOptions parse(int argc, char** argv) {
  std::map<std::string, std::string> flags = {{"--lib", ""}, {"--model", ""},    {"--kv", "f16"},
                                              {"--fa", "1"}, {"--threads", "2"}, {"--ctx", "1024"}};
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) {
      throw std::invalid_argument(
          std::string(argv[i]) +
          ": expected --lib DIR --model FILE [--kv f16|q8_0|q4_0|bf16|f32] [--fa 0|1] "
          "[--threads N] [--ctx N], each with a value");
    }
    flag->second = argv[i + 1];
  }
  return {.libraries = flags["--lib"],
          .model = flags["--model"],
          .kv = flags["--kv"],
          .flash_attention = flags["--fa"] == "1",
          .threads = std::stoi(flags["--threads"]),
          .context = std::stoi(flags["--ctx"])};
}

json timed(const char* op, const Timing& t) {
  return {{"op", op}, {"wall_ms", t.wall_ms}, {"cpu_ms", t.cpu_ms}};
}

json write_logits(PeerModel& model, const json& request) {
  const auto ids = request.at("ids").get<std::vector<llama_token>>();
  const auto path = request.at("out").get<std::string>();
  const std::vector<float> values = model.logits(ids);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file.flush()) throw std::runtime_error("write " + path + ": failed");
  return {{"op", "logits"}, {"rows", ids.size()}, {"vocab", model.vocabulary()}, {"out", path}};
}

json answer(PeerModel& model, const json& request) {
  const auto op = request.at("op").get<std::string>();
  if (op == "step") {
    const auto logits = request.value("logits", "all");
    if (logits != "all" && logits != "last")
      throw std::invalid_argument("logits " + logits + ", expected all or last");
    return timed("step", model.step(request.value("rows", 1), request.value("depth", 0), logits == "all"));
  }
  if (op == "prompt")
    return timed("prompt", model.step(request.at("tokens"), request.value("depth", 0), false));
  if (op == "memory") {
    return {
        {"op", "memory"}, {"rss_bytes", status_bytes("VmRSS")}, {"peak_rss_bytes", model.peak_rss_bytes()}};
  }
  if (op == "logits") return write_logits(model, request);
  throw std::invalid_argument("op " + op + ", expected step, prompt, memory, logits or quit");
}

void send(const json& object) { std::cout << object.dump() << std::endl; }

int serve(const PeerOptions& options) {
  PeerModel model(options);
  send({{"op", "ready"},
        {"engine", "llama.cpp"},
        {"version", llama_version()},
        {"backend", model.backend()},
        {"system", llama_print_system_info()},
        {"kv", options.kv},
        {"fa", options.flash_attention},
        {"threads", options.threads},
        {"ctx", options.context},
        {"vocab", model.vocabulary()}});
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    try {
      const json request = json::parse(line);
      if (request.at("op") == "quit") break;
      send(answer(model, request));
    } catch (const std::exception& error) {
      send({{"op", "error"}, {"message", error.what()}});
    }
  }
  std::cout.flush();
  _exit(0);  // the peer's pool threads have no orderly end
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) {
  try {
    return peers::serve(peers::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_steps: %s\n", error.what());
    return 1;
  }
}
