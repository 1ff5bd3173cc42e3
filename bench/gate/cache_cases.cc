// Rows of the KV cache: encoding, unpacking and attention.
#include "gate/cases.h"
#include "kernels/code_products.h"
#include "kv/cache.h"
#include "lattice/row_codes.h"

namespace kakeya::gate {
namespace {

using kernels::Table;

constexpr std::size_t kHeadDim = 128, kHeadsPerKv = 4;
constexpr std::size_t kUnpackedRows = 2;
constexpr std::size_t kCodeRows = 64;  // a block of values, lattice/row_codes.h

std::shared_ptr<kv::RowCodec> codec_of(const std::string& channel) {
  auto codec = kv::make_codec(*kv::parse_channel(channel), kHeadDim);
  return std::shared_ptr<kv::RowCodec>(std::move(*codec));
}

struct Packed {
  std::shared_ptr<kv::RowCodec> codec;
  Buffer<float> x;
  Buffer<std::byte> rows;
  kv::SideRows side;

  Packed(const Table& ops, const std::string& channel, std::size_t n)
      : codec(codec_of(channel)), x(test_floats(n * kHeadDim, 1)), rows(n * codec->row_bytes()) {
    for (std::size_t r = 0; r < n; ++r) encode(ops, r);
  }
  void encode(const Table& ops, std::size_t r) {
    std::byte* row = rows.data() + r * codec->row_bytes();
    if (!codec->encode(ops, {x.data() + r * kHeadDim, kHeadDim}, row, side).ok()) std::abort();
  }
};

void append_codec(std::vector<Case>& out, const Table& ops, const std::string& channel) {
  out.push_back({"encode/" + channel, ops.name, 1, "vector", [&ops, channel]() -> Call {
                   const auto packed = std::make_shared<Packed>(ops, channel, 1);
                   return [packed, &ops] { packed->encode(ops, 0); };
                 }});
  out.push_back({"unpack/" + channel, ops.name, kUnpackedRows, "vector", [&ops, channel]() -> Call {
                   const auto packed = std::make_shared<Packed>(ops, channel, kUnpackedRows);
                   const auto tile = Buffer<float>(kUnpackedRows * kHeadDim), scales = Buffer<float>(64);
                   return [=, &ops] {
                     packed->codec->unpack(ops, packed->rows.data(), kUnpackedRows, packed->side,
                                           {tile.data(), kUnpackedRows, kHeadDim}, scales.data());
                   };
                 }});
}

bool uses_vbmi(const Table& ops) { return std::string_view(ops.base) == "avx512"; }

// With what the case needs beyond the variant.
std::string variant_of_codes(const Table& ops) {
  return std::string(ops.name) + (uses_vbmi(ops) ? "+vbmi" : "");
}

void append_unpack_codes(std::vector<Case>& out, const Table& ops, const std::string& channel) {
  struct Layout {
    const char* name;
    kv::CodeLayout layout;
  };
  for (const auto& [name, layout] :
       {Layout{"keys/", kv::CodeLayout::kKeyBlocks}, Layout{"key_rows/", kv::CodeLayout::kKeyRows},
        Layout{"values/", kv::CodeLayout::kValues}}) {
    // Tables with scores of rows share the other layouts with a lesser one.
    const bool has_rows = kernels::find_code_products(ops.name)->row_scores != nullptr;
    if (has_rows != (layout == kv::CodeLayout::kKeyRows)) continue;
    out.push_back({std::string("unpack_codes/") + name + channel, variant_of_codes(ops), kCodeRows, "vector",
                   [&ops, channel, layout = layout]() -> Call {
                     const auto packed = std::make_shared<Packed>(ops, channel, kCodeRows);
                     const auto codes = Buffer<std::int8_t>(kCodeRows * kHeadDim);
                     const auto scales = Buffer<float>(64);
                     return [=, &ops] {
                       const Buffer<std::byte>& rows = packed->rows;
                       base::LineRequests wanted;
                       wanted.start(rows.size());
                       wanted.add(rows.data());
                       packed->codec->unpack_codes(ops, layout, rows.data(), kCodeRows,
                                                   rows.data() + rows.size(), packed->side, wanted,
                                                   codes.data(), scales.data());
                     };
                   }});
  }
}

struct Attention {
  static constexpr std::size_t kRows = 2;  // 8 query heads: a group of kernels/code_products.h

  base::ThreadPool pool{1};
  kernels::Compute compute;
  std::unique_ptr<kv::Cache> cache;
  std::size_t positions;
  Buffer<float> queries, out;
  std::vector<kv::Visible> visible;

  Attention(const Table& ops, const std::string& channel, std::size_t n, bool fast)
      : compute{&ops, &pool},
        positions(n),
        queries(test_floats(kRows * kHeadsPerKv * kHeadDim, 2)),
        out(queries.size()),
        visible(kRows, kv::Visible{0, positions}) {
    kv::CacheOptions options;
    options.channel = *kv::parse_channel(channel);
    options.max_tokens = positions;
    if (fast) options.fast_attention_from = 1;
    cache = std::move(*kv::Cache::create({1, 1, kHeadDim}, options));
    const auto x = test_floats(positions * kHeadDim, 3);
    const Rows<const float> kv_rows = {x.data(), positions, kHeadDim};
    if (!cache->append(compute, 0, kv_rows, kv_rows).ok()) std::abort();
  }
  void attend() {
    constexpr std::size_t kWidth = kHeadsPerKv * kHeadDim;
    const kv::AttendRequest request = {
        0, {queries.data(), kRows, kWidth}, visible, 0.088f, {out.data(), kRows, kWidth}};
    if (!cache->attend(compute, request).ok()) std::abort();
  }
};

void append_attention(std::vector<Case>& out, const Table& ops, const std::string& channel, bool fast) {
  const std::size_t positions = fast ? kCodeRows : 16;
  out.push_back({std::string(fast ? "attend_fast/" : "attend/") + channel,
                 fast ? variant_of_codes(ops) : ops.name, static_cast<double>(Attention::kRows * positions),
                 "row and position", [&ops, channel, positions, fast]() -> Call {
                   const auto scene = std::make_shared<Attention>(ops, channel, positions, fast);
                   return [scene] { scene->attend(); };
                 }});
}

}  // namespace

void append_cache_cases(std::vector<Case>& out) {
  for (const Table* ops : kernels::available()) {
    const std::string_view name = ops->name;
    if (name == ops->base) {
      for (const char* channel : {"bf16", "e8-q10", "d4-q10"}) append_codec(out, *ops, channel);
    }
    // Without vectors of eight floats a case takes too many steps.
    if (name == "avx2" || name == "avx512") {
      for (const char* channel : {"bf16", "e8-q10"}) append_attention(out, *ops, channel, false);
    }
    const kernels::CodeProducts* products = kernels::find_code_products(name);
    if (products == nullptr || products->name != name) continue;  // none, or another variant's
    if (uses_vbmi(*ops) && lattice::vbmi_row_codes() == nullptr) continue;
    append_attention(out, *ops, "e8-q10", true);
    if (name == "avx2_vnni") continue;  // unpacks as avx2
    for (const char* channel : {"e8-q10", "d4-q10"}) append_unpack_codes(out, *ops, channel);
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> out;
  append_row_cases(out);
  append_product_cases(out);
  append_cache_cases(out);
  return out;
}

bool can_run(std::string_view variant) {
  constexpr std::string_view kVbmi = "+vbmi";
  if (variant.ends_with(kVbmi)) {
    if (lattice::vbmi_row_codes() == nullptr) return false;
    variant.remove_suffix(kVbmi.size());
  }
  return kernels::find(variant) != nullptr;
}

}  // namespace kakeya::gate
