// Runs the tests of a benchmark and hands the results to a writer.
#pragma once
#include <kakeya/result.h>

#include <functional>

#include "speed/options.h"
#include "speed/writer.h"

namespace kakeya::speed {

// Errors: those of opening models, of impossible tests and of too little memory; kCancelled. What was
// measured before an error has been written.
Status run_speed(const Options& options, Writer& writer, const std::function<bool()>& interrupted);

}  // namespace kakeya::speed
