// The registry of KV channels.
#include "kv/channel.h"

#include <cstring>

#include "base/check.h"
#include "kv/codecs.h"
#include "kv/lattice_codec.h"

namespace kakeya::kv {

Status RowCodec::encode_rows(const kernels::Table& ops, Rows<const float> x, std::byte* rows, SideRows& side,
                             std::size_t* failed) const {
  for (std::size_t r = 0; r < x.rows; ++r) {
    *failed = r;
    KAKEYA_TRY(encode(ops, x.row(r), rows + r * row_bytes(), side));
  }
  return {};
}

void RowCodec::copy_row(const std::byte* from, std::byte* to, SideRows&) const {
  std::memcpy(to, from, row_bytes());
}

void RowCodec::unpack_codes(const kernels::Table&, CodeLayout, const std::byte*, std::size_t,
                            const std::byte*, std::span<const std::byte>, base::LineRequests&, std::int8_t*,
                            float*) const {
  KAKEYA_CHECK(!"a codec without codes");
}

std::span<const ChannelFamily> channel_families() {
  static const std::vector<ChannelFamily> kFamilies = {bf16_family(), e8_family(),   d4_family(),
                                                       q8_0_family(), q4_0_family(), tq4_family(),
                                                       tq3_family(),  f32_family()};
  return kFamilies;
}

Result<Channel> parse_channel(std::string_view name) {
  std::string known;
  for (const ChannelFamily& family : channel_families()) {
    Channel channel = {std::string(name), &family, 0};
    if (family.matches(name, &channel.q)) return channel;
    known += std::string(known.empty() ? "" : "; ") + family.pattern + " (" + family.help + ")";
  }
  return invalid_argument("KV channel \"" + std::string(name) + "\" is unknown; known are: " + known);
}

Result<std::unique_ptr<RowCodec>> make_codec(const Channel& channel, std::size_t head_dim) {
  if (channel.family == nullptr) return invalid_argument("KV channel: none given");
  if (head_dim == 0)
    return unsupported("KV channel " + channel.name + ": head_dim is 0, expected at least 1");
  return channel.family->make(channel.name, channel.q, head_dim);
}

Error non_finite_row(std::size_t index) {
  return {ErrorCode::kNumeric, "value " + std::to_string(index) + " of the row is not a finite number"};
}

}  // namespace kakeya::kv
