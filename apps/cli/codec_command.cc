// kakeya-llm codec: the KV codecs alone, without a model.
#include <fmt/format.h>
#include <kakeya/codec.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "cli/commands.h"
#include "cli/model_setup.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kMaxRowsBytes = std::size_t{1} << 33;

// Raw little-endian float32, a whole number of rows.
Result<std::vector<float>> read_rows(const std::string& path, std::size_t dim) {
  KAKEYA_ASSIGN(const std::string bytes, acceptance::read_whole_file(path, kMaxRowsBytes));
  const std::size_t row_bytes = dim * sizeof(float);
  if (bytes.empty() || bytes.size() % row_bytes != 0) {
    return corrupt_data(
        fmt::format("{}: {} bytes, expected a whole number of rows of {} float32 ({} bytes each)", path,
                    bytes.size(), dim, row_bytes));
  }
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  return rows;
}

Status write_rows(const std::string& path, const std::vector<float>& rows) {
  std::string bytes(rows.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), rows.data(), bytes.size());
  return acceptance::write_files({{path, std::move(bytes)}});
}

// |y - x|^2 / |x|^2 over all values.
double relative_error(const std::vector<float>& x, const std::vector<float>& y) {
  double wrong = 0, total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    wrong += (double{y[i]} - x[i]) * (double{y[i]} - x[i]);
    total += double{x[i]} * x[i];
  }
  return total > 0 ? wrong / total : 0;
}

struct CodecFlags {
  std::string channel = "e8-q38", lattice = "e8", in, out;
  std::vector<std::string> channels = {"e8-q38", "e8-q10", "e8-q4"};
  std::size_t dim = 128, rows = 4096;
  int repeats = 5;
  bool json = false;
};

int run_roundtrip(const CodecFlags& flags, const Context& context) {
  const auto codec = Codec::create(flags.channel, flags.dim, context.isa);
  if (!codec.ok()) return fail(codec.error(), channel_step({flags.channel}, flags.dim));
  const auto x = read_rows(flags.in, flags.dim);
  if (!x.ok()) return fail(x.error());
  const Status encoded = (*codec)->encode(*x);
  if (!encoded.ok()) return fail(encoded.error());
  const std::vector<float> y = (*codec)->decode();
  const Status written = write_rows(flags.out, y);
  if (!written.ok()) return fail(written.error());
  const ChannelInfo& info = (*codec)->info();
  const double error = relative_error(*x, y);
  const std::size_t vectors = (*codec)->rows(), bytes = (*codec)->allocated_bytes();
  if (flags.json) {
    print_json({{"channel", info.name},
                {"dim", flags.dim},
                {"vectors", vectors},
                {"allocated_bytes", bytes},
                {"bits_allocated", static_cast<double>(bytes) * 8 / static_cast<double>(vectors)},
                {"bits_formula", info.bits_formula},
                {"rel_mse", error}});
  } else {
    fmt::print(
        "{}: {} vectors of {}, {:.1f} bits a vector allocated ({:.1f} by the formula), relative error "
        "{:.6g}\n",
        info.name, vectors, flags.dim, static_cast<double>(bytes) * 8 / static_cast<double>(vectors),
        info.bits_formula, error);
  }
  return kOk;
}

int run_nearest(const CodecFlags& flags) {
  const auto blocks = read_rows(flags.in, 1);
  if (!blocks.ok()) return fail(blocks.error());
  const auto points = nearest_points(flags.lattice, *blocks);
  if (!points.ok()) return fail(points.error());
  const Status written = write_rows(flags.out, *points);
  return written.ok() ? kOk : fail(written.error());
}

// What the public Python implementation of the codec was measured at, vectors of 128 a second.
constexpr double kReferenceEncodeLow = 0.30e6, kReferenceEncodeHigh = 0.35e6;

int run_bench(const CodecFlags& flags, const Context& context) {
  Json all = Json::array();
  if (!flags.json) {
    fmt::print("{:<10} {:<8} {:>14} {:>14} {:>14}   (vectors of {} a second, one thread)\n", "channel",
               "variant", "encode", "decode", "attend", flags.dim);
  }
  for (const std::string& channel : flags.channels) {
    const auto speed = measure_codec(channel, flags.dim, flags.rows, flags.repeats, context.isa);
    if (!speed.ok()) return fail(speed.error(), channel_step({channel}, flags.dim));
    if (flags.json) {
      all.push_back({{"channel", speed->name},
                     {"isa", speed->isa},
                     {"dim", speed->head_dim},
                     {"rows", speed->rows},
                     {"encode_per_s", speed->encode_per_s},
                     {"decode_per_s", speed->decode_per_s},
                     {"attend_per_s", speed->attend_per_s},
                     {"memcpy_per_s", speed->memcpy_per_s},
                     {"bf16_attend_per_s", speed->bf16_attend_per_s}});
      continue;
    }
    fmt::print(
        "{:<10} {:<8} {:>14.0f} {:>14.0f} {:>14.0f}   beside: memcpy of bf16 rows {:.0f}, bf16 attend "
        "{:.0f}\n",
        speed->name, speed->isa, speed->encode_per_s, speed->decode_per_s, speed->attend_per_s,
        speed->memcpy_per_s, speed->bf16_attend_per_s);
  }
  if (flags.json) {
    print_json({{"channels", std::move(all)},
                {"public_reference_e8_encode_per_s", {kReferenceEncodeLow, kReferenceEncodeHigh}}});
  } else {
    fmt::print(
        "public reference, e8, dim 128, one core of a server Xeon: {:.0f} to {:.0f} encoded (recorded, not "
        "run here)\n",
        kReferenceEncodeLow, kReferenceEncodeHigh);
  }
  return kOk;
}

int run_list(const CodecFlags& flags) {
  Json all = Json::array();
  for (const ChannelPattern& family : channel_patterns()) {
    Json examples = Json::array();
    if (!flags.json) fmt::print("{:<8} {}\n", family.pattern, family.help);
    for (const std::string& name : family.examples) {
      const auto info = channel_info(name, flags.dim);
      if (flags.json) {
        examples.push_back({{"name", name},
                            {"bits_allocated", info.ok() ? Json(info->bits_allocated) : Json()},
                            {"bits_formula", info.ok() ? Json(info->bits_formula) : Json()}});
      } else if (info.ok()) {
        fmt::print("         {:<8} {:.0f} bits a vector of {}\n", name, info->bits_allocated, flags.dim);
      } else {
        fmt::print("         {:<8} {}\n", name, info.error().message);
      }
    }
    if (flags.json)
      all.push_back({{"pattern", family.pattern}, {"help", family.help}, {"examples", std::move(examples)}});
  }
  if (flags.json) print_json({{"dim", flags.dim}, {"families", std::move(all)}});
  return kOk;
}

void add_roundtrip(CLI::App& codec, Context& context) {
  auto flags = std::make_shared<CodecFlags>();
  CLI::App* command =
      add_command(codec, "roundtrip", "Encode and decode raw little-endian float32 rows",
                  "  kakeya-llm codec roundtrip --channel e8-q38 --dim 128 --in x.f32 --out y.f32 --json");
  command->add_option("--channel", flags->channel, "KV channel; 'codec list' shows them")
      ->capture_default_str();
  command->add_option("--dim", flags->dim, "values a row")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--in", flags->in, "rows to encode")->required();
  command->add_option("--out", flags->out, "the rows as a reader of the cache sees them")->required();
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags, &context] { return run_roundtrip(*flags, context); });
}

void add_nearest(CLI::App& codec, Context& context) {
  auto flags = std::make_shared<CodecFlags>();
  CLI::App* command = add_command(codec, "nearest",
                                  "Nearest lattice points of consecutive blocks (8 floats for e8, 4 for d4)",
                                  "  kakeya-llm codec nearest --lattice e8 --in blocks.f32 --out points.f32");
  command->add_option("--lattice", flags->lattice, "e8 or d4")->capture_default_str();
  command->add_option("--in", flags->in, "raw little-endian float32")->required();
  command->add_option("--out", flags->out, "the same shape")->required();
  on_run(command, context, [flags] { return run_nearest(*flags); });
}

void add_speed(CLI::App& codec, Context& context) {
  auto flags = std::make_shared<CodecFlags>();
  CLI::App* command =
      add_command(codec, "bench", "Vectors a second: encode, decode, attend, beside memcpy and bf16",
                  "  kakeya-llm codec bench\n"
                  "  kakeya-llm --isa scalar codec bench --channel e8-q38,q8_0 --dim 256 --json");
  command->add_option("--channel", flags->channels, "channels, comma-separated")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--dim", flags->dim, "values a row")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--rows", flags->rows, "rows a repeat")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--repeats", flags->repeats, "the best one counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags, &context] { return run_bench(*flags, context); });
}

void add_list(CLI::App& codec, Context& context) {
  auto flags = std::make_shared<CodecFlags>();
  CLI::App* command = add_command(codec, "list", "The KV channels and their bits a vector",
                                  "  kakeya-llm codec list\n  kakeya-llm codec list --dim 64 --json");
  command->add_option("--dim", flags->dim, "values a row")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags] { return run_list(*flags); });
}

}  // namespace

void add_codec(CLI::App& app, Context& context) {
  CLI::App* codec = add_command(app, "codec", "The KV codecs alone: roundtrip, nearest, bench, list",
                                "  kakeya-llm codec list\n  kakeya-llm codec roundtrip --help");
  codec->require_subcommand(1);
  add_roundtrip(*codec, context);
  add_nearest(*codec, context);
  add_speed(*codec, context);
  add_list(*codec, context);
}

}  // namespace kakeya::cli
