// Products of rows and several weight matrices in one fork, with work on the columns while they are near.
// How columns are spread over threads is here too; the maths is in the tables.
#pragma once
#include <cstddef>
#include <span>

#include "kernels/kernels.h"
#include "kernels/panels.h"
#include "kernels/split_rows.h"

namespace kakeya::kernels {

// In which forms products read their rows, besides as floats.
struct OperandForms {
  bool int8 = false;   // for quantised weights
  bool split = false;  // for bf16 weights that are multiplied by bf16 dot products

  void add(const Table& ops, const Weight& w);
  bool any() const { return int8 || split; }
};

// Memory for the forms of `rows` rows of `cols` values at most.
struct OperandMemory {
  OperandForms forms;
  std::span<std::byte> bytes;  // [operand_bytes], 64-byte aligned
};
std::size_t operand_bytes(const OperandForms& forms, std::size_t rows, std::size_t cols);

// What products read. A form that no weight needs has no rows.
struct Operand {
  Rows<const float> x;
  Int8Rows rounded;
  SplitRows split;

  // x [rows, cols] to rows [row, ...) and columns [column, ...) of its forms; column and x.cols are multiples
  // of kActivationBlock.
  void fill(const Table& ops, Rows<const float> x, std::size_t row, std::size_t column) const;
};

// Columns of one product of a call.
struct Columns {
  std::size_t product = 0, first = 0, last = 0;
};

// Refers to a function object that outlives it; empty: nothing to do.
class AfterColumns {
 public:
  AfterColumns() = default;
  template <class F>
  explicit AfterColumns(F& f)
      : context_(&f), call_([](const void* context, const Columns& columns) {
          (*static_cast<const F*>(context))(columns);
        }) {}
  void operator()(const Columns& columns) const {
    if (call_ != nullptr) call_(context_, columns);
  }

 private:
  const void* context_ = nullptr;
  void (*call_)(const void* context, const Columns& columns) = nullptr;
};

struct ProductPlan {
  // Threads get columns in multiples of this, from 0 on.
  std::size_t column_step = 1;
  // All products have as many outputs, and a thread takes the same columns of each. `after` is called once
  // for all, with the last product.
  bool together = false;
  // Called for columns whose values are there in every row, by the thread that made them. Must not throw.
  AfterColumns after;
};

// Each product's y = x * w^T.
void multiply(const Compute& compute, std::span<const Product> products, const Operand& operand,
              const ProductPlan& plan);

// All rows of x to its forms.
void fill_operand(const Compute& compute, const Operand& operand);
// x and its forms.
Operand operand_of(const Compute& compute, Rows<const float> x, const OperandMemory& memory);
// The same, with the forms still to be filled.
Operand unfilled_operand(Rows<const float> x, const OperandMemory& memory);

}  // namespace kakeya::kernels
