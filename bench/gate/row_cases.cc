// Functions of kernels::Table on floats. Variants that share them (Table::base) are counted once.
#include "base/half.h"
#include "gate/cases.h"
#include "kernels/kernels.h"
#include "kernels/panels.h"

namespace kakeya::gate {
namespace {

using kernels::Table;
using kernels::Weight;
using kernels::WeightType;

constexpr std::size_t kHeadDim = 128, kWidth = 256;

void add(std::vector<Case>& out, const Table& ops, const char* name, std::size_t values,
         std::function<Call()> prepare) {
  out.push_back(
      {std::string("rows/") + name, ops.name, static_cast<double>(values), "value", std::move(prepare)});
}

void append_vectors(std::vector<Case>& out, const Table& ops) {
  add(out, ops, "dot", kWidth, [&ops]() -> Call {
    const auto a = test_floats(kWidth, 1), b = test_floats(kWidth, 2), y = Buffer<float>(1);
    return [=, &ops] { *y.data() = ops.dot(a.data(), b.data(), kWidth); };
  });
  add(out, ops, "axpy", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1), y = test_floats(kWidth, 2);
    return [=, &ops] { ops.axpy(0.5f, x.data(), y.data(), kWidth); };
  });
  add(out, ops, "rms_norm", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1), w = test_floats(kWidth, 2), y = Buffer<float>(kWidth);
    return [=, &ops] { ops.rms_norm(x.data(), w.data(), 1e-6f, y.data(), kWidth); };
  });
  add(out, ops, "rope", kHeadDim, [&ops]() -> Call {
    const auto x = test_floats(kHeadDim, 1), c = test_floats(kHeadDim, 2), s = test_floats(kHeadDim, 3);
    return [=, &ops] { ops.rope(x.data(), c.data(), s.data(), kHeadDim); };
  });
  add(out, ops, "softmax", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1);
    return [=, &ops] { ops.softmax(x.data(), kWidth); };
  });
  add(out, ops, "silu_mul", kWidth, [&ops]() -> Call {
    const auto gate = test_floats(kWidth, 1), up = test_floats(kWidth, 2), y = Buffer<float>(kWidth);
    return [=, &ops] { ops.silu_mul(gate.data(), up.data(), y.data(), kWidth); };
  });
  add(out, ops, "hadamard", kHeadDim, [&ops]() -> Call {
    const auto x = test_floats(kHeadDim, 1);
    return [=, &ops] { ops.hadamard(x.data(), kHeadDim); };
  });
  add(out, ops, "row_max", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1), y = Buffer<float>(1);
    return [=, &ops] { *y.data() = ops.row_max(x.data(), kWidth); };
  });
  add(out, ops, "exp_sum", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1), y = Buffer<float>(1);
    return [=, &ops] { *y.data() = ops.exp_sum(x.data(), 1.0f, kWidth); };
  });
}

void append_unpacking(std::vector<Case>& out, const Table& ops) {
  add(out, ops, "unpack_levels", kHeadDim, [&ops]() -> Call {
    const auto codes = Buffer<std::uint8_t>(kHeadDim / 2);
    const auto levels = test_floats(16, 1), y = Buffer<float>(kHeadDim);
    return [=, &ops] { ops.unpack_levels(codes.data(), 4, levels.data(), 0.5f, y.data(), kHeadDim); };
  });
  add(out, ops, "unpack_i8", kHeadDim, [&ops]() -> Call {
    const auto codes = Buffer<std::int8_t>(kHeadDim);
    const auto y = Buffer<float>(kHeadDim);
    return [=, &ops] { ops.unpack_i8(codes.data(), 0.5f, y.data(), kHeadDim); };
  });
}

void append_matrices(std::vector<Case>& out, const Table& ops) {
  constexpr std::size_t kOutputs = 6, kIn = 128;
  for (const std::size_t rows : {1, 8}) {
    const std::string name = "matmul/bf16/rows:" + std::to_string(rows);
    add(out, ops, name.c_str(), rows * kOutputs * kIn, [&ops, rows]() -> Call {
      const auto values = test_floats(kOutputs * kIn, 1);
      const auto bits = Buffer<std::uint16_t>(values.size());
      for (std::size_t i = 0; i < bits.size(); ++i) bits.data()[i] = base::f32_to_bf16(values.data()[i]);
      const auto x = test_floats(rows * kIn, 2), y = Buffer<float>(rows * kOutputs);
      return [=, &ops] {
        const Weight w = {bits.data(), WeightType::kBf16, kOutputs, kIn};
        ops.matmul_range(w, {x.data(), rows, kIn}, {y.data(), rows, kOutputs}, 0, kOutputs);
      };
    });
  }
  constexpr std::size_t kRows = 2, kTile = 8;
  add(out, ops, "weighted_sum", kRows * kTile * kHeadDim, [&ops]() -> Call {
    const auto w = test_floats(kRows * kTile, 1), tile = test_floats(kTile * kHeadDim, 2);
    const auto y = Buffer<float>(kRows * kHeadDim);
    return [=, &ops] {
      ops.weighted_sum({w.data(), kRows, kTile}, {tile.data(), kTile, kHeadDim}, {y.data(), kRows, kHeadDim});
    };
  });
  add(out, ops, "quantise_rows", kWidth, [&ops]() -> Call {
    const auto x = test_floats(kWidth, 1);
    const auto bytes = Buffer<std::byte>(kernels::int8_rows_bytes(1, kWidth));
    return [=, &ops] {
      const auto rounded = kernels::int8_rows_in({bytes.data(), bytes.size()}, 1, kWidth);
      ops.quantise_rows({x.data(), 1, kWidth}, rounded, 0, 0);
    };
  });
}

}  // namespace

void append_row_cases(std::vector<Case>& out) {
  for (const Table* ops : kernels::available()) {
    if (std::string_view(ops->name) != ops->base) continue;
    append_vectors(out, *ops);
    append_unpacking(out, *ops);
    append_matrices(out, *ops);
  }
}

}  // namespace kakeya::gate
