// One JSON request a line in, one JSON answer a line out: for measuring in turns with another program, so
// that both see the same minutes of a shared machine. Requests: docs/howto/measure-speed.md.
#pragma once
#include <kakeya/result.h>

#include <iosfwd>

#include "speed/options.h"

namespace kakeya::speed {

// Until "quit" or the end of `in`. Errors: more than one model, channel or number of threads; those of
// opening.
Status run_interactive(const Options& options, std::istream& in, std::ostream& out);

}  // namespace kakeya::speed
