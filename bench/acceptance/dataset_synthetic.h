// The fixture of last resort: records that need neither file nor network. Trivial on purpose; never a
// measurement.
#pragma once
#include <string>

#include "acceptance/dataset.h"

namespace kakeya::acceptance {

// The same text on every machine, in the layout of `kind`.
std::string synthetic_jsonl(TaskKind kind);

}  // namespace kakeya::acceptance
