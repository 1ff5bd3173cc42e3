// Shared by the codec files of the engine.
#pragma once
#include <kakeya/result.h>

#include <string_view>

#include "kernels/kernels.h"

namespace kakeya::engine {

// The CPU variant of that name, the best one for "". Errors: kInvalidArgument that lists the available ones.
Result<const kernels::Table*> find_variant(std::string_view isa);

}  // namespace kakeya::engine
