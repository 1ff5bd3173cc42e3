#include "formats/affine.h"

#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

std::string shape_text(const TensorView& view) {
  std::string out = view.dtype_name + " [";
  for (std::size_t i = 0; i < view.shape.size(); ++i) {
    out += (i > 0 ? ", " : "") + std::to_string(view.shape[i]);
  }
  return out + "]";
}

Error wrong(const std::string& name, const std::string& found, const std::string& expected) {
  return corrupt_data("tensor \"" + printable(name) + "\": found " + found + ", expected " + expected);
}

bool has_shape(const TensorView& view, std::size_t rows, std::size_t cols) {
  return view.shape.size() == 2 && view.shape[0] == rows && view.shape[1] == cols;
}

bool is_float(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16; }

// `.scales` or `.biases`
Result<const TensorView*> find_side(const TensorStore& store, const std::string& name, std::size_t out,
                                    std::size_t groups) {
  const std::string expected =
      "F32, F16 or BF16 [" + std::to_string(out) + ", " + std::to_string(groups) + "]";
  const TensorView* view = store.find(name);
  if (view == nullptr) return wrong(name, "nothing", expected);
  if (!is_float(view->dtype) || !has_shape(*view, out, groups)) {
    return wrong(name, shape_text(*view), expected);
  }
  return view;
}

}  // namespace

Result<std::optional<AffineView>> find_affine(const TensorStore& store, const ModelConfig& config,
                                              const std::string& module, std::size_t out, std::size_t in) {
  const std::string weight = module + ".weight", scales = module + ".scales", biases = module + ".biases";
  AffineView view;
  view.codes = store.find(weight);
  const bool packed = view.codes != nullptr && view.codes->dtype == Dtype::kU32;
  if (!packed && store.find(scales) == nullptr) return std::optional<AffineView>();
  if (!config.affine) {
    return wrong(packed ? weight : scales, shape_text(packed ? *view.codes : *store.find(scales)),
                 "a plain matrix: config.json has no \"quantization\"");
  }
  const auto own = config.affine_of.find(module);
  const AffineConfig& settings = own == config.affine_of.end() ? *config.affine : own->second;
  view.bits = settings.bits;
  view.group = settings.group;
  if (in % settings.group != 0) {
    return unsupported("tensor \"" + printable(weight) + "\": found " + std::to_string(in) +
                       " inputs, expected a multiple of the group size " + std::to_string(settings.group));
  }
  const std::size_t words = in * static_cast<std::size_t>(settings.bits) / 32;
  const std::string expected = "U32 [" + std::to_string(out) + ", " + std::to_string(words) + "] (" +
                               std::to_string(settings.bits) + " bits)";
  if (view.codes == nullptr) return wrong(weight, "nothing", expected);
  if (!packed || !has_shape(*view.codes, out, words)) return wrong(weight, shape_text(*view.codes), expected);
  KAKEYA_ASSIGN(view.scales, find_side(store, scales, out, in / settings.group));
  KAKEYA_ASSIGN(view.biases, find_side(store, biases, out, in / settings.group));
  if (view.scales->dtype != view.biases->dtype) {
    return wrong(biases, view.biases->dtype_name, view.scales->dtype_name + " like its scales");
  }
  return std::optional<AffineView>(view);
}

}  // namespace kakeya::formats
