// A codec chosen by the first two bytes of the input.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fuzz.h"
#include "kv/channel.h"

inline const std::vector<std::unique_ptr<kakeya::kv::RowCodec>>& all_codecs() {
  static const auto kCodecs = [] {
    std::vector<std::unique_ptr<kakeya::kv::RowCodec>> out;
    for (const auto& family : kakeya::kv::channel_families()) {
      std::vector<std::string> names = family.examples;
      if (std::string_view(family.lattice).size() > 0) names.push_back(std::string(family.lattice) + "-q255");
      for (const std::string& name : names) {
        const auto channel = kakeya::kv::parse_channel(name);
        FUZZ_CHECK(channel.ok());
        for (const std::size_t dim : {64, 128, 256, 512}) {
          auto codec = kakeya::kv::make_codec(*channel, dim);
          if (codec.ok()) out.push_back(std::move(codec).value());
        }
      }
    }
    return out;
  }();
  return kCodecs;
}

// Takes the two bytes off the input.
inline const kakeya::kv::RowCodec& choose_codec(const std::uint8_t*& data, std::size_t& size) {
  const std::size_t index = size >= 2 ? data[0] + 256u * data[1] : 0;
  const std::size_t used = size >= 2 ? 2 : size;
  data += used;
  size -= used;
  return *all_codecs()[index % all_codecs().size()];
}
