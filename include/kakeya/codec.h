// The KV codecs alone: names, sizes, encode, decode, nearest points. No model needed.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kakeya {

struct ChannelInfo {
  std::string name;     // "e8-q38"
  std::string lattice;  // "e8", "d4", or "" when it is none
  int q_range = 0;      // 0 when it has none
  std::string help;
  double bits_allocated = 0;  // per vector, headers and padding included
  double bits_formula = 0;
};

struct ChannelPattern {
  std::string pattern, help;
  std::vector<std::string> examples;
};
// Everything the registry knows, for help texts and lists.
std::vector<ChannelPattern> channel_patterns();
// Errors: kInvalidArgument (unknown name), kUnsupported (head_dim).
Result<ChannelInfo> channel_info(std::string_view name, std::size_t head_dim);

class Codec {
 public:
  static Result<std::unique_ptr<Codec>> create(std::string_view channel, std::size_t head_dim,
                                               std::string_view isa = "");
  virtual ~Codec() = default;
  virtual const ChannelInfo& info() const = 0;
  virtual std::size_t head_dim() const = 0;
  // x [n * head_dim] -> packed rows, kept inside. Errors: kNumeric names the row.
  virtual Status encode(std::span<const float> x) = 0;
  // All encoded rows back, [n * head_dim].
  virtual std::vector<float> decode() const = 0;
  virtual std::size_t rows() const = 0;
  virtual std::size_t allocated_bytes() const = 0;  // rows and side rows
};

// Nearest points of consecutive blocks (8 floats for "e8", 4 for "d4"). Errors: kInvalidArgument.
Result<std::vector<float>> nearest_points(std::string_view lattice, std::span<const float> blocks);

struct CodecSpeed {
  std::string name;  // "e8-q10"
  std::string isa;
  std::size_t head_dim = 0, rows = 0;
  double encode_per_s = 0, decode_per_s = 0, attend_per_s = 0;  // vectors a second, one thread
  double memcpy_per_s = 0, bf16_attend_per_s = 0;               // same run: bf16-sized copies, bf16 attention
};
// Best of `repeats` on `rows` random vectors.
Result<CodecSpeed> measure_codec(std::string_view channel, std::size_t head_dim, std::size_t rows,
                                 int repeats, std::string_view isa = "");

}  // namespace kakeya
