// Rows on the lattices E8 and D4: unit norm, Hadamard rotation, nearest lattice points, two fp16 headers.
// Byte layout: docs/formats/kv-e8.md.
#pragma once
#include <kakeya/result.h>

#include <memory>

#include "kv/channel.h"
#include "lattice/lattice.h"

namespace kakeya::kv {

// Errors: kUnsupported naming the range or head_dim and the rule it breaks.
Result<std::unique_ptr<RowCodec>> make_lattice_codec(lattice::Kind kind, int q, std::size_t dim);

// The families e8-qN and d4-qN, for the registry.
ChannelFamily e8_family();
ChannelFamily d4_family();

}  // namespace kakeya::kv
