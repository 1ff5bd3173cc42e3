#include "formats/sampling_defaults.h"

#include <nlohmann/json.hpp>

namespace kakeya::formats {
namespace {

Result<std::optional<float>> optional_real(const ConfigReader& reader, const char* key, RealRange range) {
  if (!reader.has(key)) return std::optional<float>();
  KAKEYA_ASSIGN(const double value, reader.real(key, range));
  return std::optional<float>(static_cast<float>(value));
}

}  // namespace

Result<SamplingDefaults> read_sampling_defaults(const ConfigReader& reader, const SamplingKeys& keys) {
  SamplingDefaults out;
  KAKEYA_ASSIGN(out.temperature, optional_real(reader, keys.temperature, {0, 1000}));
  KAKEYA_ASSIGN(out.top_p, optional_real(reader, keys.top_p, {1e-6, 1}));
  KAKEYA_ASSIGN(out.min_p, optional_real(reader, keys.min_p, {0, 1}));
  KAKEYA_ASSIGN(out.repetition_penalty, optional_real(reader, keys.repetition_penalty, {1e-3, 1e3}));
  const nlohmann::json* top_k = reader.find(keys.top_k);
  if (top_k != nullptr && *top_k == -1) {
    out.top_k = 0;  // vLLM and llama.cpp spell "off" this way
  } else if (top_k != nullptr) {
    KAKEYA_ASSIGN(const std::uint64_t value, reader.uint(keys.top_k, {0, 1 << 24}));
    out.top_k = static_cast<int>(value);
  }
  return out;
}

}  // namespace kakeya::formats
