// The sampling that a model's makers recommend, as their files spell it. For the .cc files of formats/ only.
#pragma once
#include <kakeya/options.h>

#include "formats/config_reader.h"

namespace kakeya::formats {

struct SamplingKeys {
  const char *temperature, *top_p, *top_k, *min_p, *repetition_penalty;
};

// Errors: kCorruptData for a value that no sampler takes.
Result<SamplingDefaults> read_sampling_defaults(const ConfigReader& reader, const SamplingKeys& keys);

}  // namespace kakeya::formats
