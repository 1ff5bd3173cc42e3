// Products of small numbers: quantised panels, bf16 weights, and codes of cached rows. A function that
// several variants share is counted for the first of them.
#include <algorithm>
#include <string_view>

#include "base/half.h"
#include "gate/cases.h"
#include "kernels/blocks.h"
#include "kernels/code_products.h"
#include "kernels/panels.h"
#include "kernels/split_rows.h"

namespace kakeya::gate {
namespace {

using kernels::CodeProducts;
using kernels::Table;
using kernels::WeightType;

constexpr std::size_t kHeadDim = 128;

struct Shape {
  std::size_t out, in, rows;
};

Call prepare_panels(const Table& ops, WeightType type, const Shape& shape) {
  const auto values = test_floats(shape.out * shape.in, 1), x = test_floats(shape.rows * shape.in, 2);
  const std::size_t row_bytes = kernels::row_bytes(type, shape.in);
  const Buffer<std::byte> blocks(shape.out * row_bytes);
  for (std::size_t o = 0; o < shape.out; ++o) {
    kernels::quantise_row(type, values.data() + o * shape.in, shape.in, blocks.data() + o * row_bytes);
  }
  base::ThreadPool pool(1);
  const Buffer<std::byte> panels(kernels::panel_bytes(type, shape.out, shape.in, 0));
  const kernels::Weight w = kernels::pack_panels(pool, {type, shape.out, shape.in, blocks.data()}, {},
                                                 {panels.data(), panels.size()});
  const Buffer<std::byte> bytes(kernels::int8_rows_bytes(shape.rows, shape.in));
  const auto rounded = kernels::int8_rows_in({bytes.data(), bytes.size()}, shape.rows, shape.in);
  ops.quantise_rows({x.data(), shape.rows, shape.in}, rounded, 0, 0);
  const Buffer<float> y(shape.rows * shape.out);
  return [=, &ops] {
    (void)panels;  // w and rounded look into these
    (void)bytes;
    ops.panel_matmul_range(w, rounded, {y.data(), shape.rows, shape.out}, 0, shape.out);
  };
}

// As many panels as kernels put side by side, for those that need few instructions for them.
Shape shape_of(std::string_view variant, std::size_t rows) {
  if (variant == "scalar") return {16, 64, rows};
  if (variant == "avx512_vnni" || variant == "amx") return {128, 256, rows};
  return {16, 512, rows};
}

void append_panels(std::vector<Case>& out) {
  std::vector<decltype(Table::panel_matmul_range)> seen;
  for (const Table* ops : kernels::available()) {
    if (std::find(seen.begin(), seen.end(), ops->panel_matmul_range) != seen.end()) continue;
    const bool scalar = seen.empty();  // the first of available(), with a hundred times the instructions
    seen.push_back(ops->panel_matmul_range);
    for (const WeightType type : {WeightType::kQ4_0, WeightType::kQ8_0, WeightType::kQ4K, WeightType::kQ6K}) {
      for (const std::size_t rows : {1, 8, 16}) {
        if (scalar && (rows > 1 || type != WeightType::kQ4_0)) continue;
        const Shape shape = shape_of(ops->name, rows);
        out.push_back({std::string("panels/") + to_string(type) + "/rows:" + std::to_string(rows), ops->name,
                       static_cast<double>(shape.out / 16 * shape.in / 32 * rows), "block product",
                       [=] { return prepare_panels(*ops, type, shape); }});
      }
    }
  }
}

Call prepare_split(const Table& ops, const Shape& shape) {
  const auto values = test_floats(shape.out * shape.in, 1), x = test_floats(shape.rows * shape.in, 2);
  const Buffer<std::uint16_t> bits(values.size());
  for (std::size_t i = 0; i < bits.size(); ++i) bits.data()[i] = base::f32_to_bf16(values.data()[i]);
  const Buffer<std::byte> parts(kernels::split_rows_bytes(shape.rows, shape.in));
  const Buffer<float> y(shape.rows * shape.out);
  return [=, &ops] {
    const kernels::Weight w = {bits.data(), WeightType::kBf16, shape.out, shape.in};
    const auto split = kernels::split_rows_in({parts.data(), parts.size()}, shape.rows, shape.in);
    ops.split_rows({x.data(), shape.rows, shape.in}, split, 0, 0);
    ops.split_matmul_range(w, split, {y.data(), shape.rows, shape.out}, 0, shape.out);
  };
}

// Rows split and multiplied.
void append_split(std::vector<Case>& out) {
  constexpr std::size_t kOut = 64, kIn = 512;
  for (const Table* ops : kernels::available()) {
    if (ops->split_matmul_range == nullptr) continue;
    for (const std::size_t rows : {1, 16, 32, 64}) {
      out.push_back({"split/bf16/rows:" + std::to_string(rows), ops->name,
                     static_cast<double>(kOut / 16 * kIn / 32 * rows), "block product", [=] {
                       return prepare_split(*ops, {kOut, kIn, rows});
                     }});
    }
  }
}

// `n` codes between -126 and 126.
Buffer<std::int8_t> test_codes(std::size_t n) {
  const auto values = test_floats(n, 3);
  Buffer<std::int8_t> out(n);
  for (std::size_t i = 0; i < n; ++i) out.data()[i] = static_cast<std::int8_t>(126 * values.data()[i]);
  return out;
}

struct Pairs {
  Buffer<std::int8_t> codes;
  Buffer<float> steps, x;
  kernels::PairRows rows;

  Pairs(const CodeProducts& ops, std::size_t n, std::size_t cols)
      : codes(2 * n * cols * ops.code_bytes), steps(n), x(test_floats(n * cols, 4)) {
    rows = {n, cols, codes.data(), steps.data(), ops.code_bytes};
    for (std::size_t r = 0; r < n; ++r) ops.round(x.data() + r * cols, nullptr, rows, r);
  }
};

void append_code_rows(std::vector<Case>& out, const CodeProducts& ops) {
  out.push_back({"codes/round", ops.name, kHeadDim, "value", [&ops]() -> Call {
                   const Pairs pairs(ops, 1, kHeadDim);
                   const auto factors = test_floats(kHeadDim, 5);
                   return [=, &ops] { ops.round(pairs.x.data(), factors.data(), pairs.rows, 0); };
                 }});
  out.push_back({"codes/exp_sum", ops.name, 256, "value", [&ops]() -> Call {
                   const auto x = test_floats(256, 1), y = Buffer<float>(1);
                   return [=, &ops] { *y.data() = ops.exp_sum(x.data(), 1.0f, 256); };
                 }});
}

void append_code_matrices(std::vector<Case>& out, const CodeProducts& ops) {
  constexpr std::size_t kPositions = 64, kRows = 8;
  constexpr double kUnits = kRows * kPositions;
  out.push_back(
      {"codes/scores", ops.name, kUnits, "row and position", [&ops]() -> Call {
         const Pairs queries(ops, kRows, kHeadDim);
         const auto keys = test_codes(kPositions * kHeadDim);
         const auto scales = test_floats(kPositions, 6), y = Buffer<float>(kRows * kPositions);
         return [=, &ops] {
           ops.scores(queries.rows, keys.data(), kPositions, scales.data(), {y.data(), kRows, kPositions});
         };
       }});
  if (ops.row_scores != nullptr) {
    out.push_back({"codes/row_scores", ops.name, kUnits, "row and position", [&ops]() -> Call {
                     const Pairs queries(ops, kRows, kHeadDim);
                     const auto keys = test_codes(kPositions * kHeadDim);
                     const auto columns = Buffer<std::int8_t>(kernels::column_bytes(queries.rows));
                     const auto scales = test_floats(kPositions, 6), y = Buffer<float>(kRows * kPositions);
                     ops.columns(queries.rows, columns.data());
                     return [=, &ops] {
                       ops.row_scores(queries.rows, columns.data(), keys.data(), kPositions, scales.data(),
                                      {y.data(), kRows, kPositions});
                     };
                   }});
  }
  out.push_back({"codes/sums", ops.name, kUnits, "row and position", [&ops]() -> Call {
                   const Pairs weights(ops, kRows, kPositions);
                   const auto values = test_codes(kPositions * kHeadDim);
                   const auto y = Buffer<float>(kRows * kHeadDim);
                   return [=, &ops] { ops.sums(weights.rows, values.data(), {y.data(), kRows, kHeadDim}); };
                 }});
}

void append_bf16(std::vector<Case>& out, const kernels::Bf16Products& bf16) {
  constexpr std::size_t kPositions = 64, kRows = 16;
  constexpr double kUnits = kRows * kPositions;
  const CodeProducts& ops = bf16.products;
  // As `lay_out` puts 64 stored rows, while it asks for as many.
  const auto codes = [](void (*lay_out)(const kernels::Bf16Rows&, std::int8_t*)) {
    const auto values = test_floats(kPositions * kHeadDim, 7);
    const Buffer<std::uint16_t> stored(kPositions * kHeadDim);
    for (std::size_t i = 0; i < stored.size(); ++i) stored.data()[i] = base::f32_to_bf16(values.data()[i]);
    const Buffer<std::int8_t> laid(2 * kPositions * kHeadDim);
    return [=] {
      base::LineRequests wanted;
      wanted.start(2 * stored.size());
      wanted.add(stored.data());
      lay_out({reinterpret_cast<const std::byte*>(stored.data()), kPositions, kHeadDim, &wanted},
              laid.data());
      return laid.data();
    };
  };
  out.push_back({"bf16/keys", ops.name, kPositions * kHeadDim, "value",
                 [=]() -> Call { return [lay = codes(bf16.keys)] { lay(); }; }});
  out.push_back({"bf16/values", ops.name, kPositions * kHeadDim, "value",
                 [=]() -> Call { return [lay = codes(bf16.values)] { lay(); }; }});
  out.push_back({"bf16/round", ops.name, kHeadDim, "value", [&ops]() -> Call {
                   const Pairs pairs(ops, 1, kHeadDim);
                   return [=, &ops] { ops.round(pairs.x.data(), nullptr, pairs.rows, 0); };
                 }});
  out.push_back(
      {"bf16/scores", ops.name, kUnits, "row and position", [&ops, lay = codes(bf16.keys)]() -> Call {
         const Pairs queries(ops, kRows, kHeadDim);
         const auto scales = test_floats(kPositions, 6), y = Buffer<float>(kRows * kPositions);
         return [=, &ops, keys = lay()] {
           (void)lay;  // keys looks into it
           ops.scores(queries.rows, keys, kPositions, scales.data(), {y.data(), kRows, kPositions});
         };
       }});
  out.push_back(
      {"bf16/sums", ops.name, kUnits, "row and position", [&ops, lay = codes(bf16.values)]() -> Call {
         const Pairs weights(ops, kRows, kPositions);
         const auto y = Buffer<float>(kRows * kHeadDim);
         return [=, &ops, values = lay()] {
           (void)lay;
           ops.sums(weights.rows, values, {y.data(), kRows, kHeadDim});
         };
       }});
}

}  // namespace

void append_product_cases(std::vector<Case>& out) {
  append_panels(out);
  append_split(out);
  const CodeProducts* last = nullptr;
  for (const Table* table : kernels::available()) {
    const CodeProducts* ops = kernels::find_code_products(table->name);
    if (ops == nullptr || std::string_view(ops->name) != table->name) continue;  // another variant's
    if (last == nullptr || ops->round != last->round) append_code_rows(out, *ops);
    append_code_matrices(out, *ops);
    last = ops;
  }
  for (const Table* table : kernels::available()) {
    const kernels::Bf16Products* bf16 = kernels::find_bf16_products(table->name);
    if (bf16 != nullptr && std::string_view(bf16->products.name) == table->name) append_bf16(out, *bf16);
  }
}

}  // namespace kakeya::gate
