// The codec part of the SDK: channels by name, one codec alone, nearest points. Timing is in codec_speed.cc.
#include <fmt/format.h>

#include <kakeya/codec.h>
#include <cmath>

#include "engine/codec_internal.h"
#include "kv/channel.h"
#include "lattice/lattice.h"

namespace kakeya {
namespace {

class RowsOfCodec final : public Codec {
 public:
  RowsOfCodec(ChannelInfo info, std::unique_ptr<kv::RowCodec> codec, const kernels::Table& ops)
      : info_(std::move(info)), codec_(std::move(codec)), ops_(ops) {}

  const ChannelInfo& info() const override { return info_; }
  std::size_t head_dim() const override { return codec_->dim(); }
  std::size_t rows() const override { return rows_.size() / codec_->row_bytes(); }
  std::size_t allocated_bytes() const override { return rows_.capacity() + side_.capacity(); }

  Status encode(std::span<const float> x) override {
    const std::size_t dim = codec_->dim();
    const std::size_t count = x.size() / dim;
    if (x.size() % dim != 0) {
      return invalid_argument(fmt::format("encode with {}: {} values, expected a multiple of head_dim {}",
                                          info_.name, x.size(), dim));
    }
    const std::size_t old_bytes = rows_.size();
    const std::size_t old_side = side_.size();
    rows_.reserve(old_bytes + count * codec_->row_bytes());
    rows_.resize(old_bytes + count * codec_->row_bytes());
    std::size_t failed = 0;
    const Rows<const float> view(x.data(), count, dim);
    const Status status = codec_->encode_rows(ops_, view, rows_.data() + old_bytes, side_, &failed);
    if (!status.ok()) {
      rows_.resize(old_bytes);
      side_.resize(old_side);
      return Error{status.error().code,
                   fmt::format("encode with {}: row {}: {}", info_.name, failed, status.error().message)};
    }
    return {};
  }

  std::vector<float> decode() const override {
    const std::size_t dim = codec_->dim();
    std::vector<float> out(rows() * dim);
    for (std::size_t r = 0; r < rows(); ++r) {
      codec_->decode(ops_, rows_.data() + r * codec_->row_bytes(), side_,
                     std::span(out).subspan(r * dim, dim));
    }
    return out;
  }

 private:
  ChannelInfo info_;
  std::unique_ptr<kv::RowCodec> codec_;
  const kernels::Table& ops_;
  std::vector<std::byte> rows_;
  kv::SideRows side_;
};

ChannelInfo info_of(const kv::Channel& channel, const kv::RowCodec& codec) {
  return {.name = channel.name,
          .lattice = channel.family->lattice,
          .q_range = channel.q,
          .help = channel.family->help,
          .bits_allocated = 8.0 * static_cast<double>(codec.row_bytes()),
          .bits_formula = codec.formula_bits()};
}

}  // namespace

namespace engine {

Result<const kernels::Table*> find_variant(std::string_view isa) {
  if (isa.empty()) return &kernels::best();
  if (const kernels::Table* table = kernels::find(isa)) return table;
  std::string known;
  for (const kernels::Table* table : kernels::available())
    known += std::string(known.empty() ? "" : ", ") + table->name;
  return invalid_argument(
      fmt::format("CPU variant \"{}\" is unknown or not on this machine; available: {}", isa, known));
}

}  // namespace engine

std::vector<ChannelPattern> channel_patterns() {
  std::vector<ChannelPattern> out;
  for (const kv::ChannelFamily& family : kv::channel_families()) {
    out.push_back({family.pattern, family.help, family.examples});
  }
  return out;
}

Result<ChannelInfo> channel_info(std::string_view name, std::size_t head_dim) {
  KAKEYA_ASSIGN(const kv::Channel channel, kv::parse_channel(name));
  KAKEYA_ASSIGN(const auto codec, kv::make_codec(channel, head_dim));
  return info_of(channel, *codec);
}

Result<std::unique_ptr<Codec>> Codec::create(std::string_view channel_name, std::size_t head_dim,
                                             std::string_view isa) {
  KAKEYA_ASSIGN(const kernels::Table* ops, engine::find_variant(isa));
  KAKEYA_ASSIGN(const kv::Channel channel, kv::parse_channel(channel_name));
  KAKEYA_ASSIGN(auto codec, kv::make_codec(channel, head_dim));
  ChannelInfo info = info_of(channel, *codec);
  return std::unique_ptr<Codec>(std::make_unique<RowsOfCodec>(std::move(info), std::move(codec), *ops));
}

Result<std::vector<float>> nearest_points(std::string_view name, std::span<const float> blocks) {
  for (const lattice::Kind kind : {lattice::Kind::kE8, lattice::Kind::kD4}) {
    if (name != lattice::to_string(kind)) continue;
    const std::size_t n = lattice::block_size(kind);
    if (blocks.size() % n != 0) {
      return invalid_argument(
          fmt::format("nearest points of {}: {} values, expected a multiple of {}", name, blocks.size(), n));
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (std::isfinite(blocks[i])) continue;
      return corrupt_data(
          fmt::format("nearest points of {}: block {}, value {} is {}, expected a finite number", name, i / n,
                      i % n, blocks[i]));
    }
    std::vector<float> out(blocks.size());
    for (std::size_t i = 0; i < blocks.size(); i += n)
      lattice::nearest(kind, blocks.data() + i, out.data() + i);
    return out;
  }
  return invalid_argument(fmt::format("lattice \"{}\" is unknown; known are: e8, d4", name));
}

}  // namespace kakeya
