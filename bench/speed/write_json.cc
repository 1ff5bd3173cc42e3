// JSON, JSON lines and CSV: one set of fields for all three.
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "speed/statistics.h"
#include "speed/writer.h"
#include "speed/writers.h"

namespace kakeya::speed {
namespace {

using Json = nlohmann::ordered_json;

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }
std::uint64_t whole(double value) { return static_cast<std::uint64_t>(std::llround(value)); }

std::string dump(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

// llama-bench's, in its order; of those that name settings of other devices only the ones that mean something
// here.
Json llama_bench_fields(const TestResult& r) {
  const std::vector<double> ns = r.ns(), ts = r.tokens_per_s();
  return {{"build_commit", r.setup.build_commit},
          {"build_number", 0},
          {"cpu_info", r.setup.cpu},
          {"gpu_info", ""},
          {"backends", "CPU"},
          {"model_filename", r.setup.model.filename},
          {"model_type", r.setup.model.type + (r.setup.model.random_weights ? " RANDOM weights" : "")},
          {"model_size", r.setup.model.size_bytes},
          {"model_n_params", r.setup.model.parameters},
          {"n_batch", r.setup.batch},
          {"n_ubatch", r.setup.batch},
          {"n_threads", r.setup.threads},
          {"type_k", r.setup.kv},
          {"type_v", r.setup.kv},
          {"n_prompt", r.test.n_prompt},
          {"n_gen", r.test.n_gen},
          {"n_depth", r.test.depth},
          {"test_time", r.test_time},
          {"avg_ns", whole(average(ns))},
          {"stddev_ns", whole(deviation(ns))},
          {"avg_ts", average(ts)},
          {"stddev_ts", deviation(ts)}};
}

void add_own_fields(const TestResult& r, Json& out) {
  const std::vector<double> ns = r.ns();
  const bool simulated = r.test.kind == TestKind::kSimulated;
  out["test"] = r.test.name();
  out["weights"] = r.setup.model.random_weights ? "random" : "file";
  out["kv_channel"] = r.setup.kv;
  out["draft"] = r.setup.draft;
  out["draft_weights"] = r.setup.draft.empty() ? "" : r.setup.draft_random_weights ? "random" : "file";
  out["draft_kv_channel"] = r.setup.draft.empty() ? "" : r.setup.draft_kv;
  out["isa"] = r.setup.isa;
  out["n_rows"] = r.test.n_rows;
  out["simulated"] = simulated;
  out["simulated_tokens_per_cycle"] = simulated ? Json(r.test.simulated_tokens) : Json();
  out["emitted_tokens"] = simulated ? Json(r.emitted_tokens) : Json();
  out["median_ns"] = whole(median(ns));
  out["min_ns"] = whole(smallest(ns));
  out["ms_per_pass"] = r.pass_ms();
  out["cpu_ms_per_pass"] = r.pass_cpu_ms();
  out["ratio_to_one_row"] = number(r.ratio_to_one_row);
  out["break_even_tokens"] = number(r.break_even_tokens);
  out["bytes_per_pass"] = r.bytes_per_pass ? Json(whole(*r.bytes_per_pass)) : Json();
  out["bandwidth_gbs"] = number(r.bandwidth_gbs());
  out["share_of_bandwidth"] = number(r.share_of_bandwidth());
  out["gops"] = number(r.gops());
  out["share_of_int8_peak"] = number(r.share_of_int8_peak());
  const Limits& l = r.limits;
  out["limits"] = {{"dram_gbs", l.dram_gbs},
                   {"dram_gbs_min", l.dram_gbs_min},
                   {"dram_gbs_max", l.dram_gbs_max},
                   {"dram_buffer_bytes", l.buffer_bytes},
                   {"last_level_cache_bytes", l.last_level_cache_bytes},
                   {"int8_gops", l.int8_gops},
                   {"int8_instruction", l.int8_instruction}};
  out["peak_rss_bytes"] = r.peak_rss_bytes;
  out["note"] = r.note;
}

class JsonWriter final : public Writer {
 public:
  explicit JsonWriter(std::ostream& out) : out_(out) {}
  void add(std::span<const TestResult> results) override {
    for (const TestResult& r : results) {
      out_ << (first_ ? "[\n" : ",\n");
      first_ = false;
      out_ << to_json(r).dump(2, ' ', true, Json::error_handler_t::replace);
    }
    out_ << std::flush;
  }
  void end() override {
    if (!first_) out_ << "\n]\n" << std::flush;
  }

 private:
  std::ostream& out_;
  bool first_ = true;
};

class JsonLinesWriter final : public Writer {
 public:
  explicit JsonLinesWriter(std::ostream& out) : out_(out) {}
  void add(std::span<const TestResult> results) override {
    for (const TestResult& r : results) out_ << dump(to_json(r)) << '\n';
    out_ << std::flush;
  }

 private:
  std::ostream& out_;
};

// Every value in quotation marks, as llama-bench has it; no samples, nothing for null.
class CsvWriter final : public Writer {
 public:
  explicit CsvWriter(std::ostream& out) : out_(out) {}
  void add(std::span<const TestResult> results) override {
    for (const TestResult& r : results) {
      const Json fields = flat(to_json(r));
      std::string header, line;
      for (const auto& [key, value] : fields.items()) {
        header += (header.empty() ? "" : ",") + key;
        line += (line.empty() ? "" : ",") + quoted(value);
      }
      if (first_) out_ << header << '\n';
      first_ = false;
      out_ << line << '\n';
    }
    out_ << std::flush;
  }

 private:
  // limits.dram_gbs becomes limits_dram_gbs.
  static Json flat(const Json& json) {
    Json out = Json::object();
    for (const auto& [key, value] : json.items()) {
      if (value.is_array()) continue;
      if (!value.is_object()) {
        out[key] = value;
        continue;
      }
      for (const auto& [inner, inner_value] : value.items()) out[key + "_" + inner] = inner_value;
    }
    return out;
  }
  static std::string quoted(const Json& value) {
    std::string text = value.is_string() ? value.get<std::string>() : value.is_null() ? "" : dump(value);
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  }

  std::ostream& out_;
  bool first_ = true;
};

}  // namespace

Json to_json(const TestResult& r) {
  Json out = llama_bench_fields(r);
  add_own_fields(r, out);
  out["samples_ns"] = r.samples_ns;
  out["samples_ts"] = r.tokens_per_s();
  out["samples_cpu_ns"] = r.samples_cpu_ns;
  return out;
}

std::unique_ptr<Writer> make_writer(std::string_view format, std::ostream& out) {
  if (format == "json") return std::make_unique<JsonWriter>(out);
  if (format == "jsonl") return std::make_unique<JsonLinesWriter>(out);
  if (format == "csv") return std::make_unique<CsvWriter>(out);
  if (format == "md") return make_markdown_writer(out);
  return nullptr;
}

}  // namespace kakeya::speed
