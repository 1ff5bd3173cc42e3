// Lookup and checks of tensors; no arithmetic beyond the conversion of vectors to float.
#include "model/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "formats/affine.h"

namespace kakeya::model {
namespace {

constexpr const char* kPrefix = "model.";
constexpr const char* kWeightSuffix = ".weight";
constexpr std::size_t kWeightBlock = std::size_t{64} << 20;

std::optional<kernels::WeightType> weight_type(formats::Dtype dtype) {
  using kernels::WeightType;
  switch (dtype) {
    case formats::Dtype::kF32:
      return WeightType::kF32;
    case formats::Dtype::kF16:
      return WeightType::kF16;
    case formats::Dtype::kBf16:
      return WeightType::kBf16;
    case formats::Dtype::kQ8_0:
      return WeightType::kQ8_0;
    case formats::Dtype::kQ4_0:
      return WeightType::kQ4_0;
    case formats::Dtype::kQ4K:
      return WeightType::kQ4K;
    case formats::Dtype::kQ5K:
      return WeightType::kQ5K;
    case formats::Dtype::kQ6K:
      return WeightType::kQ6K;
    case formats::Dtype::kU32:
    case formats::Dtype::kOther:
      break;
  }
  return std::nullopt;
}

Error bad_dtype(const std::string& what, const std::string& name, const formats::TensorView& view,
                const char* expected) {
  return unsupported(
      fmt::format("{}: tensor {}: dtype {}, expected {}", what, name, view.dtype_name, expected));
}

// Row of the file for each output: a head's pairs (2i, 2i + 1) go half a head apart.
std::vector<std::uint32_t> unpaired_order(std::size_t out, std::size_t head_dim) {
  std::vector<std::uint32_t> order(out);
  const std::size_t half = head_dim / 2;
  for (std::size_t o = 0; o < out; ++o) {
    const std::size_t head = o / head_dim * head_dim, i = o % head_dim;
    order[o] = static_cast<std::uint32_t>(head + 2 * (i % half) + i / half);
  }
  return order;
}

}  // namespace

Result<std::span<std::byte>> WeightMemory::allocate(std::size_t bytes) {
  const std::size_t step =
      (bytes + kernels::kPanelAlignment - 1) / kernels::kPanelAlignment * kernels::kPanelAlignment;
  if (step > rest_.size()) {
    KAKEYA_ASSIGN(base::PageBuffer block, base::PageBuffer::allocate(std::max(step, kWeightBlock)));
    const std::span<std::byte> fresh = block.bytes();
    blocks_.push_back(std::move(block));
    used_bytes_ += bytes;
    // The block with more room stays at hand.
    if (fresh.size() - step < rest_.size()) return fresh.first(bytes);
    rest_ = fresh.subspan(step);
    return fresh.first(bytes);
  }
  const std::span<std::byte> out = rest_.first(bytes);
  rest_ = rest_.subspan(step);
  used_bytes_ += bytes;
  return out;
}

std::size_t weight_bytes(const formats::TensorStore& store, const WeightMemory& owned) {
  return store.files().empty() ? owned.bytes() : store.total_bytes();
}

std::string WeightLoader::matrix_dtype() const {
  std::vector<std::pair<std::string, std::size_t>> shares(values_of_dtype_.begin(), values_of_dtype_.end());
  std::ranges::sort(shares, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::string out;
  for (const auto& [dtype, values] : shares) out += (out.empty() ? "" : "+") + dtype;
  return out;
}

void WeightLoader::count_matrix(const kernels::Weight& weight) {
  parameters_ += weight.out * weight.in;
  values_of_dtype_[kernels::to_string(weight.type)] += weight.out * weight.in;
}

const formats::TensorView* FileWeights::find(const std::string& name) const {
  if (const auto* view = store_.find(name)) return view;
  if (name.starts_with(kPrefix)) return store_.find(name.substr(std::strlen(kPrefix)));
  return store_.find(kPrefix + name);
}

Result<const formats::TensorView*> FileWeights::checked(const std::string& name,
                                                        const std::vector<std::uint64_t>& shape) {
  const formats::TensorView* view = find(name);
  if (view == nullptr) {
    return not_found(
        fmt::format("{}: tensor {} is missing, expected shape [{}]", what_, name, fmt::join(shape, ", ")));
  }
  if (view->shape != shape) {
    return corrupt_data(fmt::format("{}: tensor {}: shape [{}], expected [{}] by the configuration", what_,
                                    name, fmt::join(view->shape, ", "), fmt::join(shape, ", ")));
  }
  return view;
}

Result<kernels::Weight> FileWeights::matrix(const std::string& name, std::size_t out, std::size_t in,
                                            MatrixUse use) {
  if (const formats::TensorView* view = find(name);
      view != nullptr && (config_.affine || view->dtype == formats::Dtype::kU32)) {
    KAKEYA_ASSIGN(const std::optional<kernels::Weight> affine, affine_matrix(name, out, in));
    if (affine) return *affine;
  }
  KAKEYA_ASSIGN(const formats::TensorView* view, checked(name, {out, in}));
  const auto type = weight_type(view->dtype);
  if (!type) return bad_dtype(what_, name, *view, "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K or Q6_K");
  std::vector<std::uint32_t> order;
  if (view->paired_rows && use.head_dim > 0) order = unpaired_order(out, use.head_dim);
  kernels::Weight weight = {view->bytes.data(), *type, out, in};
  if (!kernels::is_quantised(*type)) {
    if (reading_ == Reading::kWeights) {
      KAKEYA_ASSIGN(weight.data, plain_data(*view, *type, order));
    }
  } else if (!use.lookup_only) {
    KAKEYA_ASSIGN(weight, pack({*type, out, in, view->bytes.data()}, name, order));
    if (reading_ == Reading::kWeights) store_.release(view->bytes);
  }
  count_matrix(weight);
  return weight;
}

Result<const void*> FileWeights::plain_data(const formats::TensorView& view, kernels::WeightType type,
                                            std::span<const std::uint32_t> order) {
  const std::byte* data = view.bytes.data();
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % kernels::bytes_per_weight(type) == 0;
  if (aligned && order.empty()) return static_cast<const void*>(data);
  KAKEYA_ASSIGN(const std::span<std::byte> copy, owned_.allocate(view.bytes.size()));
  std::byte* out = copy.data();
  if (order.empty()) {
    std::memcpy(out, data, view.bytes.size());
  } else {
    const std::size_t row = view.bytes.size() / order.size();
    for (std::size_t o = 0; o < order.size(); ++o) std::memcpy(out + o * row, data + order[o] * row, row);
  }
  store_.release(view.bytes);
  return static_cast<const void*>(out);
}

Result<std::optional<kernels::Weight>> FileWeights::affine_matrix(const std::string& name, std::size_t out,
                                                                  std::size_t in) {
  std::string module = name.substr(0, name.size() - std::strlen(kWeightSuffix));
  if (store_.find(name) == nullptr) {
    module = name.starts_with(kPrefix) ? module.substr(std::strlen(kPrefix)) : kPrefix + module;
  }
  KAKEYA_ASSIGN(const std::optional<formats::AffineView> view,
                formats::find_affine(store_, config_, module, out, in));
  if (!view) return std::optional<kernels::Weight>();
  kernels::QuantisedRows rows = {
      view->bits == 4 ? kernels::WeightType::kAffine4 : kernels::WeightType::kAffine8, out, in,
      view->codes->bytes.data()};
  rows.scales = view->scales->bytes.data();
  rows.biases = view->biases->bytes.data();
  rows.scale_type = *weight_type(view->scales->dtype);
  rows.group = view->group;
  KAKEYA_ASSIGN(const kernels::Weight weight, pack(rows, name, {}));
  for (const formats::TensorView* part : {view->codes, view->scales, view->biases}) {
    if (reading_ == Reading::kWeights) store_.release(part->bytes);
  }
  count_matrix(weight);
  return std::optional<kernels::Weight>(weight);
}

Result<kernels::Weight> WeightLoader::pack_rows(base::ThreadPool& pool, const kernels::QuantisedRows& rows,
                                                std::span<const std::uint32_t> order) {
  KAKEYA_ASSIGN(
      const std::span<std::byte> panels,
      owned_.allocate(kernels::panel_bytes(rows.type, rows.out, rows.in, rows.group, rows.scale_type)));
  return kernels::pack_panels(pool, rows, order, panels);
}

Result<kernels::Weight> FileWeights::pack(const kernels::QuantisedRows& rows, const std::string& name,
                                          std::span<const std::uint32_t> order) {
  if (!kernels::has_panels(rows.type, rows.in, rows.group)) {
    return unsupported(fmt::format("{}: tensor {}: {} inputs of type {}, expected a multiple of its block",
                                   what_, name, rows.in, kernels::to_string(rows.type)));
  }
  if (reading_ == Reading::kHeaders) return kernels::Weight{nullptr, rows.type, rows.out, rows.in};
  return pack_rows(pool_, rows, order);
}

Result<std::vector<float>> FileWeights::vector(const std::string& name, std::size_t n) {
  KAKEYA_ASSIGN(const formats::TensorView* view, checked(name, {n}));
  const auto type = weight_type(view->dtype);
  if (!type || kernels::is_quantised(*type)) return bad_dtype(what_, name, *view, "F32, F16 or BF16");
  if (reading_ == Reading::kHeaders) {
    parameters_ += n;
    return std::vector<float>();
  }
  // Copied first: load_row wants aligned data.
  const auto aligned = std::make_unique_for_overwrite<std::byte[]>(view->bytes.size());
  std::memcpy(aligned.get(), view->bytes.data(), view->bytes.size());
  std::vector<float> out(n);
  kernels::find("scalar")->load_row({aligned.get(), *type, 1, n}, 0, out.data());
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(out[i])) {
      return Error{
          ErrorCode::kNumeric,
          fmt::format("{}: tensor {}: element {} is {}, expected a finite number", what_, name, i, out[i])};
    }
  }
  parameters_ += n;
  return out;
}

}  // namespace kakeya::model
