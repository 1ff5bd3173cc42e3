// The row codec of the e8-qN and d4-qN channels: headers, the negated and the wide form of rare rows.
#include "kv/lattice_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "lattice/row_codes.h"
#include "lattice/row_format.h"
#include "lattice/row_kernels.h"

namespace kakeya::kv {
namespace {

using lattice::RowFormat;
using lattice::RowKernels;

constexpr std::size_t kHeaderBytes = 4;  // fp16 norm, fp16 peak
constexpr std::uint16_t kFlag = 0x8000;  // norm: the row is wide; peak: the codes are of the negated row
constexpr std::uint16_t kLargestF16 = 0x7bff;
constexpr std::size_t kOffsetBytes = 8;  // of a wide row's points in the side bytes, in place of codes
constexpr float kLargestF32 = std::numeric_limits<float>::max();
constexpr std::size_t kNormRun = 8;  // rows whose norms are taken together
constexpr std::size_t kRun = 64;     // rows unpacked per kernel call

struct Header {
  std::uint16_t norm = 0;
  std::uint16_t peak = 0;
  bool wide() const { return (norm & kFlag) != 0; }
  bool negated() const { return (peak & kFlag) != 0; }
  float norm_value() const { return base::f16_to_f32(norm & 0x7fff); }
  float peak_value() const { return base::f16_to_f32(peak & 0x7fff); }
};

std::uint16_t load_u16(const std::byte* p) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(p[0]) | std::to_integer<unsigned>(p[1]) << 8);
}

// Norm in the low half, peak in the high one.
std::uint32_t load_u32(const std::byte* p) { return load_u16(p) | std::uint32_t{load_u16(p + 2)} << 16; }

void store_u16(std::byte* p, std::uint16_t value) {
  p[0] = static_cast<std::byte>(value & 0xff);
  p[1] = static_cast<std::byte>(value >> 8);
}

Header load_header(const std::byte* row) { return {load_u16(row), load_u16(row + 2)}; }

// Where a wide row's points lie in the side bytes.
void store_offset(std::uint8_t* codes, std::uint64_t offset) {
  for (std::size_t i = 0; i < kOffsetBytes; ++i) codes[i] = static_cast<std::uint8_t>(offset >> (8 * i));
}
std::uint64_t load_offset(const std::byte* row) {
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < kOffsetBytes; ++i) {
    offset |= std::to_integer<std::uint64_t>(row[kHeaderBytes + i]) << (8 * i);
  }
  return offset;
}

Status check_finite(std::span<const float> x) {
  const auto bad = std::find_if(x.begin(), x.end(), [](float v) { return !std::isfinite(v); });
  if (bad == x.end()) return {};
  return Error{ErrorCode::kNumeric,
               fmt::format("encode row: value {} is {}, expected a finite number", bad - x.begin(), *bad)};
}

// The peak of a finite row whose sum of squares overflows fp32: the direction is that of the row made
// small, exactly.
float rotate_huge(const RowKernels& kernels, std::span<const float> x, float* y) {
  std::array<float, lattice::kMaxDim> small;
  for (std::size_t i = 0; i < x.size(); ++i) small[i] = x[i] * 0x1p-70f;
  return kernels.rotate(small.data(), x.size(), kernels.norm(small.data(), x.size()), y);
}

auto unpack_as(const lattice::RowCodes& codes, CodeLayout layout) {
  switch (layout) {
    case CodeLayout::kKeyRows:
      return codes.rows;
    case CodeLayout::kKeyBlocks:
      return codes.keys;
    default:
      return codes.values;
  }
}
std::size_t index_in(CodeLayout layout, bool swaps_lanes, std::size_t dim, std::size_t row, std::size_t i) {
  switch (layout) {
    case CodeLayout::kKeyRows:
      return row * dim + i;
    case CodeLayout::kKeyBlocks:
      return lattice::key_index(dim, row, i);
    default:
      return lattice::value_index(dim, row, swaps_lanes ? lattice::lane_swapped(i) : i);
  }
}

class LatticeCodec final : public RowCodec {
 public:
  explicit LatticeCodec(const RowFormat& format) : format_(format) {
    for (const kernels::Table* table : kernels::available()) {
      if (const RowKernels* found = lattice::find_row_kernels(table->base))
        variants_.push_back({table, found, codes_of(*table), products_of(*table)});
    }
    if (format_.q <= lattice::kMaxCodeRange) plan_.emplace(format_);
  }

  std::size_t dim() const override { return format_.dim; }
  std::size_t row_bytes() const override { return kHeaderBytes + format_.code_bytes; }
  bool rotated() const override { return true; }
  double formula_bits() const override {
    const auto blocks = static_cast<int>(format_.dim / lattice::block_size(format_.kind));
    return blocks * lattice::formula_bits_per_block(format_.kind, format_.q) + 32;
  }

  Status encode(const kernels::Table& ops, std::span<const float> x, std::byte* row,
                SideRows& side) const override;
  Status encode_rows(const kernels::Table& ops, Rows<const float> x, std::byte* rows, SideRows& side,
                     std::size_t* failed) const override;
  void unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n,
              std::span<const std::byte> side, Rows<float> tile, float* scales) const override;
  const kernels::CodeProducts* code_products(const kernels::Table& ops) const override {
    const Variant* variant = variant_of(ops);
    return variant != nullptr ? variant->products : nullptr;
  }
  void unpack_codes(const kernels::Table& ops, CodeLayout layout, const std::byte* rows, std::size_t n,
                    const std::byte* end, std::span<const std::byte> side, base::LineRequests& wanted,
                    std::int8_t* out, float* scales) const override;
  void order_sums(const kernels::Table& ops, float* sums) const override {
    const Variant* variant = variant_of(ops);
    if (variant != nullptr && variant->row_codes != nullptr && variant->row_codes->swaps_lanes)
      lattice::swap_lanes(sums, format_.dim);
  }
  void decode(const kernels::Table& ops, const std::byte* row, std::span<const std::byte> side,
              std::span<float> out) const override;
  void copy_row(const std::byte* from, std::byte* to, SideRows& side) const override;
  std::size_t side_bytes(const std::byte* row) const override {
    return load_header(row).wide() ? wide_bytes() : 0;
  }
  std::uint64_t side_offset(const std::byte* row) const override { return load_offset(row); }

 private:
  const RowKernels& row_kernels(const kernels::Table& ops) const {
    const Variant* variant = variant_of(ops);
    return variant != nullptr ? *variant->row_kernels : lattice::scalar_row_kernels();
  }
  const lattice::RowCodes* codes_of(const kernels::Table& table) const {
    return format_.q <= lattice::kMaxCodeRange ? lattice::find_row_codes(table.name) : nullptr;
  }
  // Those that take keys as rows need codes that give them so; vectors do without.
  const kernels::CodeProducts* products_of(const kernels::Table& table) const {
    const lattice::RowCodes* codes = codes_of(table);
    const kernels::CodeProducts* products = kernels::find_code_products(table.name);
    if (codes == nullptr || products == nullptr) return nullptr;
    const bool fits = products->row_scores == nullptr || codes->rows != nullptr;
    return fits ? products : kernels::find_code_products("avx512_vnni");
  }
  std::size_t wide_bytes() const { return format_.dim * sizeof(std::int16_t); }
  void encode_rare(const float* y, float step, Header header, std::byte* row, SideRows& side) const;
  void unpack_wide(const std::byte* row, std::span<const std::byte> side, float* out) const;

  struct Variant {
    const kernels::Table* table;
    const RowKernels* row_kernels;
    const lattice::RowCodes* row_codes;     // null: none
    const kernels::CodeProducts* products;  // null: none
  };
  const Variant* variant_of(const kernels::Table& ops) const {
    for (const Variant& variant : variants_) {
      if (variant.table == &ops) return &variant;
    }
    return nullptr;
  }
  RowFormat format_;
  std::optional<lattice::CodePlan> plan_;  // of ranges that have codes
  std::vector<Variant> variants_;
};

Status LatticeCodec::encode(const kernels::Table& ops, std::span<const float> x, std::byte* row,
                            SideRows& side) const {
  std::size_t failed = 0;
  return encode_rows(ops, {x.data(), 1, x.size()}, row, side, &failed);
}

// Takes norms in runs and rotates one row ahead: norm, rotation and rounding of a row depend on each other
// step by step, and a core fills the gaps with the work of its neighbours.
Status LatticeCodec::encode_rows(const kernels::Table& ops, Rows<const float> x, std::byte* rows,
                                 SideRows& side, std::size_t* failed) const {
  KAKEYA_CHECK(x.cols == format_.dim);
  if (x.rows == 0) return {};
  const RowKernels& kernels = row_kernels(ops);
  alignas(64) float y[2][lattice::kMaxDim];
  std::array<float, kNormRun> norms;
  float peak = 0;
  const auto rotate = [&](std::size_t r) {
    if (r % kNormRun == 0) {
      const std::size_t count = std::min(kNormRun, x.rows - r);
      for (std::size_t i = 0; i < count; ++i) norms[i] = kernels.norm(x.row(r + i).data(), format_.dim);
    }
    const float norm = norms[r % kNormRun];
    if (norm <= kLargestF32) peak = kernels.rotate(x.row(r).data(), format_.dim, norm, y[r % 2]);
    return norm;
  };
  float norm = rotate(0);
  for (std::size_t r = 0; r < x.rows; ++r) {
    if (norm > kLargestF32) {
      *failed = r;
      KAKEYA_TRY(check_finite(x.row(r)));
      peak = rotate_huge(kernels, x.row(r), y[r % 2]);
    }
    const Header header{std::min(base::f32_to_f16(norm), kLargestF16),
                        std::min(base::f32_to_f16(peak), kLargestF16)};
    const float step = header.peak_value() / static_cast<float>(format_.q);
    if (r + 1 < x.rows) norm = rotate(r + 1);
    std::byte* row = rows + r * row_bytes();
    if (kernels.quantize(format_, y[r % 2], step, reinterpret_cast<std::uint8_t*>(row + kHeaderBytes))) {
      store_u16(row, header.norm);
      store_u16(row + 2, header.peak);
    } else {
      encode_rare(y[r % 2], step, header, row, side);
    }
  }
  return {};
}

// A coordinate of +(Q+1) has no digit but -(Q+1) has one: try the negated row, else keep 16 bits a value.
void LatticeCodec::encode_rare(const float* y, float step, Header header, std::byte* row,
                               SideRows& side) const {
  std::array<std::int16_t, lattice::kMaxDim> points;
  lattice::row_points(format_, y, step, points.data());
  std::array<std::int16_t, lattice::kMaxDim> negated;
  for (std::size_t i = 0; i < format_.dim; ++i) negated[i] = static_cast<std::int16_t>(-points[i]);
  auto* codes = reinterpret_cast<std::uint8_t*>(row + kHeaderBytes);
  if (lattice::pack_points(format_, negated.data(), codes)) {
    header.peak |= kFlag;
  } else {
    header.norm |= kFlag;
    std::memset(codes, 0, format_.code_bytes);
    const std::size_t offset = side.size();
    store_offset(codes, offset);
    side.resize(offset + wide_bytes());
    for (std::size_t i = 0; i < format_.dim; ++i) {
      store_u16(side.data() + offset + 2 * i, static_cast<std::uint16_t>(points[i]));
    }
  }
  store_u16(row, header.norm);
  store_u16(row + 2, header.peak);
}

// A copy of a wide row owns its points: a rewind cuts them off with it.
void LatticeCodec::copy_row(const std::byte* from, std::byte* to, SideRows& side) const {
  RowCodec::copy_row(from, to, side);
  if (!load_header(from).wide()) return;
  const std::uint64_t offset = load_offset(from);
  const std::size_t end = side.size();
  KAKEYA_CHECK(end >= wide_bytes() && offset <= end - wide_bytes());
  store_offset(reinterpret_cast<std::uint8_t*>(to + kHeaderBytes), end);
  side.resize(end + wide_bytes());
  std::memcpy(side.data() + end, side.data() + offset, wide_bytes());
}

// A wide row whose points are not in `side` reads as zeros: only corrupt bytes can name such a place.
void LatticeCodec::unpack_wide(const std::byte* row, std::span<const std::byte> side, float* out) const {
  const std::uint64_t offset = load_offset(row);
  std::array<std::int16_t, lattice::kMaxDim> points{};
  if (side.size() >= wide_bytes() && offset <= side.size() - wide_bytes()) {
    const std::byte* in = side.data() + offset;
    for (std::size_t i = 0; i < format_.dim; ++i) points[i] = static_cast<std::int16_t>(load_u16(in + 2 * i));
  }
  lattice::clamp_points(format_, {points.data(), format_.dim}, out);
}

void LatticeCodec::unpack(const kernels::Table& ops, const std::byte* rows, std::size_t n,
                          std::span<const std::byte> side, Rows<float> tile, float* scales) const {
  KAKEYA_CHECK(tile.cols == format_.dim && tile.rows >= n);
  const RowKernels& kernels = row_kernels(ops);
  const std::size_t stride = row_bytes();
  const auto* end = reinterpret_cast<const std::uint8_t*>(rows + n * stride);
  for (std::size_t first = 0; first < n; first += kRun) {
    const std::size_t count = std::min(kRun, n - first);
    const std::byte* run = rows + first * stride;
    std::array<std::uint32_t, kRun> negate;
    bool any_wide = false;
    for (std::size_t i = 0; i < count; ++i) {
      const Header header = load_header(run + i * stride);
      negate[i] = header.negated() ? 0x80000000u : 0u;
      scales[first + i] = header.norm_value() * header.peak_value() / static_cast<float>(format_.q);
      any_wide |= header.wide();
    }
    const Rows<float> out = tile.sub(first, count);
    kernels.unpack(format_, reinterpret_cast<const std::uint8_t*>(run + kHeaderBytes), stride, end,
                   {negate.data(), count}, out);
    for (std::size_t i = 0; any_wide && i < count; ++i) {
      const std::byte* row = run + i * stride;
      if (load_header(row).wide()) unpack_wide(row, side, out.row(i).data());
    }
  }
}

void LatticeCodec::unpack_codes(const kernels::Table& ops, CodeLayout layout, const std::byte* rows,
                                std::size_t n, const std::byte* end, std::span<const std::byte> side,
                                base::LineRequests& wanted, std::int8_t* out, float* scales) const {
  const Variant* variant = variant_of(ops);
  KAKEYA_CHECK(variant != nullptr && variant->products != nullptr && n >= 1 && n <= kRun);
  const lattice::RowCodes* codes = variant->row_codes;
  const std::size_t stride = row_bytes();
  alignas(64) std::array<std::uint32_t, kRun> headers;
  std::uint32_t flags = 0;
  for (std::size_t i = 0; i < n; ++i) {
    headers[i] = load_u32(rows + i * stride);
    flags |= headers[i];
  }
  std::fill(headers.begin() + n, headers.end(), 0u);
  const bool any_wide = Header{static_cast<std::uint16_t>(flags), 0}.wide();
  codes->scales(headers.data(), kRun, format_.q, scales);
  const lattice::PackedRows packed = {reinterpret_cast<const std::uint8_t*>(rows + kHeaderBytes), stride, n,
                                      reinterpret_cast<const std::uint8_t*>(end), &wanted};
  unpack_as(*codes, layout)(*plan_, packed, out);
  for (std::size_t i = 0; any_wide && i < n; ++i) {
    if (!load_header(rows + i * stride).wide()) continue;
    std::array<float, lattice::kMaxDim> row;
    unpack_wide(rows + i * stride, side, row.data());
    for (std::size_t d = 0; d < format_.dim; ++d) {
      const std::size_t at = index_in(layout, codes->swaps_lanes, format_.dim, i, d);
      out[at] = static_cast<std::int8_t>(2.0f * row[d]);
    }
  }
}

void LatticeCodec::decode(const kernels::Table& ops, const std::byte* row, std::span<const std::byte> side,
                          std::span<float> out) const {
  KAKEYA_CHECK(out.size() == format_.dim);
  const RowKernels& kernels = row_kernels(ops);
  float unused = 0;
  unpack(ops, row, 1, side, {out.data(), 1, format_.dim}, &unused);
  const Header header = load_header(row);
  const float step = header.peak_value() / static_cast<float>(format_.q);
  const float norm = header.norm_value();
  kernels.scale(step, out.data(), out.size());
  ops.hadamard(out.data(), format_.dim);
  kernels.scale(norm, out.data(), out.size());
}

// "e8-q38" with prefix "e8-q": 38. Only the canonical spelling, so that a channel has one name.
bool match_range(std::string_view name, std::string_view prefix, int* q) {
  if (!name.starts_with(prefix)) return false;
  const std::string_view digits = name.substr(prefix.size());
  if (digits.empty() || digits.size() > 3 || digits.front() == '0') return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *q);
  return error == std::errc() && end == digits.data() + digits.size() && *q >= lattice::kMinRange &&
         *q <= lattice::kMaxRange;
}

}  // namespace

ChannelFamily e8_family() {
  return {.pattern = "e8-qN",
          .lattice = "e8",
          .help = "E8 lattice, 2N+1 levels a value, N from 2 to 255; head_dim 64, 128, 256 or 512",
          .examples = {"e8-q38", "e8-q10", "e8-q4", "e8-q7", "e8-q31"},
          .matches = [](std::string_view name, int* q) { return match_range(name, "e8-q", q); },
          .make = [](std::string_view, int q,
                     std::size_t dim) { return make_lattice_codec(lattice::Kind::kE8, q, dim); }};
}

ChannelFamily d4_family() {
  return {.pattern = "d4-qN",
          .lattice = "d4",
          .help = "D4 lattice, 2N+1 levels a value, N from 2 to 255; head_dim 64, 128, 256 or 512",
          .examples = {"d4-q38", "d4-q10", "d4-q4"},
          .matches = [](std::string_view name, int* q) { return match_range(name, "d4-q", q); },
          .make = [](std::string_view, int q,
                     std::size_t dim) { return make_lattice_codec(lattice::Kind::kD4, q, dim); }};
}

Result<std::unique_ptr<RowCodec>> make_lattice_codec(lattice::Kind kind, int q, std::size_t dim) {
  KAKEYA_ASSIGN(const RowFormat format, RowFormat::create(kind, q, dim));
  return std::unique_ptr<RowCodec>(std::make_unique<LatticeCodec>(format));
}

}  // namespace kakeya::kv
