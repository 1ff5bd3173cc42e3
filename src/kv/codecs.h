// The channel families of this folder, for the registry in channel.cc and for tests.
#pragma once
#include "kv/channel.h"

namespace kakeya::kv {

ChannelFamily bf16_family();
ChannelFamily f32_family();
ChannelFamily q8_0_family();
ChannelFamily q4_0_family();
ChannelFamily tq4_family();
ChannelFamily tq3_family();

}  // namespace kakeya::kv
