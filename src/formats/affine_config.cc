#include "formats/affine_config.h"

#include <nlohmann/json.hpp>

namespace kakeya::formats {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxModules = 65536;

// bits, group_size and mode of one object.
Result<AffineConfig> read_settings(const ConfigReader& reader) {
  if (reader.has("mode")) {
    KAKEYA_ASSIGN(const std::string mode, reader.string("mode"));
    if (mode != "affine") return reader.refuse("mode", '"' + printable(mode) + '"', "\"affine\"");
  }
  AffineConfig out;
  KAKEYA_ASSIGN(const std::uint64_t bits, reader.uint("bits", {1, 64}));
  if (bits != 4 && bits != 8) return reader.refuse("bits", std::to_string(bits), "4 or 8");
  out.bits = static_cast<int>(bits);
  KAKEYA_ASSIGN(out.group, reader.uint("group_size", {1, 1 << 20}));
  if (out.group != 32 && out.group != 64 && out.group != 128) {
    return reader.refuse("group_size", std::to_string(out.group), "32, 64 or 128");
  }
  return out;
}

// Objects among the values belong to one module each; true and false say whether it is quantised, which its
// tensors say as well.
Status read_modules(const ConfigReader& reader, ModelConfig& config) {
  const json& object = reader.object();
  if (object.size() > kMaxModules) {
    return reader.corrupt("", std::to_string(object.size()) + " keys",
                          "at most " + std::to_string(kMaxModules));
  }
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) continue;
    const ConfigReader module(reader.file(), value, "quantization." + printable(key) + ".");
    KAKEYA_ASSIGN(config.affine_of[key], read_settings(module));
  }
  return {};
}

}  // namespace

Status read_affine_config(const ConfigReader& reader, ModelConfig& config) {
  const char* key = reader.has("quantization") ? "quantization" : "quantization_config";
  const json* value = reader.find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) return reader.corrupt(key, describe(*value), "an object");
  const ConfigReader settings(reader.file(), *value, std::string(key) + ".");
  if (const json* method = settings.find("quant_method"); method != nullptr) {
    return settings.refuse("quant_method", describe(*method),
                           "nothing: MLX affine weights, or weights in bf16, f16 or f32");
  }
  KAKEYA_ASSIGN(config.affine, read_settings(settings));
  return read_modules(settings, config);
}

}  // namespace kakeya::formats
