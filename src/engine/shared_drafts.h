// Drafts of requests that share the target's next pass: observed and proposed in passes of the draft that
// they share as well.
#pragma once
#include <cstdint>
#include <span>

#include "engine/slot.h"

namespace kakeya::engine {

// Does what the decoders of `slots` have planned where two or more have something to do, and hands it to
// them. What is left, after an error too, they do by themselves, so that only the one to blame fails. Returns
// the number of passes over several requests.
std::uint64_t draft_together(std::span<Slot* const> slots);

}  // namespace kakeya::engine
