#include "speed/interactive.h"

#include <fmt/format.h>
#include <kakeya/engine.h>
#include <kakeya/speed.h>

#include <algorithm>
#include <initializer_list>
#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "speed/peak_memory.h"

namespace kakeya::speed {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 8;  // of a request
constexpr std::size_t kLargestCount = std::size_t{1} << 31;

Json answer(const std::string& op, const Elapsed& elapsed) {
  return {{"op", op},
          {"wall_ms", static_cast<double>(elapsed.wall_ns) / 1e6},
          {"cpu_ms", static_cast<double>(elapsed.cpu_ns) / 1e6}};
}

// The fields of one request.
class Request {
 public:
  static Result<Request> parse(const std::string& line) {
    // What is nested deeper than any request is dropped: writers of the JSON library recurse.
    const auto shallow = [](int depth, Json::parse_event_t, const Json&) { return depth <= kMaxDepth; };
    Json json = Json::parse(line, shallow, false);
    if (!json.is_object() || !json.contains("op") || !json["op"].is_string()) {
      return invalid_argument("request: expected one JSON object a line, with a string \"op\"");
    }
    return Request(std::move(json));
  }

  std::string op() const { return json_["op"]; }
  Status only(std::initializer_list<std::string_view> fields) const {
    for (const auto& [key, value] : json_.items()) {
      if (key != "op" && std::find(fields.begin(), fields.end(), key) == fields.end()) {
        return invalid_argument(fmt::format("{}: field \"{}\" is unknown", op(), key));
      }
    }
    return {};
  }
  Result<std::size_t> count(const char* field, std::size_t missing) const {
    if (!json_.contains(field)) return missing;
    const Json& value = json_[field];
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLargestCount) {
      return invalid_argument(fmt::format("{}: \"{}\" is {}, expected a number from 0 to {}", op(), field,
                                          value.dump(), kLargestCount));
    }
    return value.get<std::size_t>();
  }
  Result<PassLogits> logits() const {
    const std::string name = json_.contains("logits") ? json_["logits"].dump() : "\"all\"";
    if (name == "\"none\"") return PassLogits::kNone;
    if (name == "\"last\"") return PassLogits::kLast;
    if (name == "\"all\"") return PassLogits::kAll;
    return invalid_argument(
        fmt::format("{}: \"logits\" is {}, expected \"none\", \"last\" or \"all\"", op(), name));
  }

 private:
  explicit Request(Json json) : json_(std::move(json)) {}
  Json json_;
};

class Interactive {
 public:
  Interactive(SpeedProbe& probe, std::uint64_t probe_bytes) : probe_(probe), probe_bytes_(probe_bytes) {}

  Result<Json> handle(const Request& request) {
    const std::string op = request.op();
    if (op == "step") return step(request);
    if (op == "prompt") return prompt(request);
    if (op == "draft") return draft(request);
    if (op == "observe") return observe(request);
    if (op == "memory") return memory();
    if (op == "limits") return limits();
    return invalid_argument(fmt::format(
        "request: \"op\" is \"{}\", expected step, prompt, draft, observe, memory, limits or quit", op));
  }

 private:
  Status go_to_depth(const Request& request) {
    KAKEYA_ASSIGN(const std::size_t depth, request.count("depth", probe_.depth()));
    return depth == probe_.depth() ? Status() : probe_.set_depth(depth);
  }
  Result<Json> step(const Request& request) {
    KAKEYA_TRY(request.only({"rows", "depth", "logits"}));
    KAKEYA_ASSIGN(const std::size_t rows, request.count("rows", 1));
    KAKEYA_ASSIGN(const PassLogits logits, request.logits());
    KAKEYA_TRY(go_to_depth(request));
    KAKEYA_ASSIGN(const Elapsed elapsed, probe_.pass(rows, logits));
    return answer("step", elapsed);
  }
  Result<Json> prompt(const Request& request) {
    KAKEYA_TRY(request.only({"tokens", "depth"}));
    KAKEYA_ASSIGN(const std::size_t tokens, request.count("tokens", 0));
    KAKEYA_TRY(go_to_depth(request));
    KAKEYA_ASSIGN(const Elapsed elapsed, probe_.prompt(tokens, 0));
    return answer("prompt", elapsed);
  }
  Result<Json> draft(const Request& request) {
    KAKEYA_TRY(request.only({"block", "depth"}));
    KAKEYA_ASSIGN(const std::size_t block, request.count("block", 0));
    KAKEYA_TRY(go_to_depth(request));
    KAKEYA_ASSIGN(const Elapsed elapsed, probe_.propose(block));
    return answer("draft", elapsed);
  }
  Result<Json> observe(const Request& request) {
    KAKEYA_TRY(request.only({"rows", "depth"}));
    KAKEYA_ASSIGN(const std::size_t rows, request.count("rows", 1));
    KAKEYA_TRY(go_to_depth(request));
    KAKEYA_ASSIGN(const Elapsed elapsed, probe_.observe(rows));
    return answer("observe", elapsed);
  }
  Result<Json> memory() const {
    return Json{
        {"op", "memory"}, {"rss_bytes", process_memory().rss_bytes}, {"peak_rss_bytes", peak_.bytes()}};
  }
  Result<Json> limits() {
    KAKEYA_ASSIGN(const MemoryLimit memory, peak_.without([&] { return probe_.memory_limit(probe_bytes_); }));
    const Int8Limit int8 = probe_.int8_limit();
    return Json{{"op", "limits"},
                {"dram_gbs", memory.gbs},
                {"int8_gops", int8.gops},
                {"int8_instruction", int8.instruction},
                {"buffer_bytes", memory.buffer_bytes},
                {"last_level_cache_bytes", memory.last_level_cache_bytes}};
  }

  SpeedProbe& probe_;
  std::uint64_t probe_bytes_;
  PeakMemory peak_;
};

Status check_single(const char* flag, std::size_t count) {
  if (count == 1) return {};
  return invalid_argument(fmt::format("{}: found {} values, expected one with --interactive", flag, count));
}

void print(std::ostream& out, const Json& json) {
  out << json.dump(-1, ' ', true, Json::error_handler_t::replace) << '\n' << std::flush;
}

}  // namespace

Status run_interactive(const Options& options, std::istream& in, std::ostream& out) {
  KAKEYA_TRY(check_single("-m", options.models.size()));
  KAKEYA_TRY(check_single("--kv", options.kv.size()));
  KAKEYA_TRY(check_single("-t", options.threads.size()));
  EngineOptions engine_options;
  engine_options.target = options.models.front();
  engine_options.draft = options.draft;
  engine_options.threads = static_cast<int>(options.threads.front());
  engine_options.isa = options.isa;
  SessionOptions session;
  session.kv = options.kv.front();
  session.draft_kv = options.draft_kv;
  KAKEYA_ASSIGN(const std::unique_ptr<Engine> engine, Engine::open(engine_options));
  KAKEYA_ASSIGN(const std::unique_ptr<SpeedProbe> probe, engine->new_speed_probe(session));
  print(out, {{"op", "ready"},
              {"model", engine->target().id},
              {"kv", session.kv},
              {"draft", engine->draft() != nullptr ? engine->draft()->id : ""},
              {"threads", engine->threads()},
              {"isa", engine->isa()},
              {"weights", engine->target().random_weights ? "random" : "file"}});

  Interactive interactive(*probe, options.probe_bytes);
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Result<Request> request = Request::parse(line);
    if (request.ok() && request->op() == "quit") break;
    const Result<Json> result = request.ok() ? interactive.handle(*request) : request.error();
    print(out, result.ok() ? *result : Json{{"error", result.error().message}});
  }
  return out ? Status() : io_error("interactive: cannot write the answers");
}

}  // namespace kakeya::speed
