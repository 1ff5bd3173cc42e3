// Products of rows and several weight matrices in one fork, with work on the columns while they are near.
// How columns are spread over threads is here too; the maths is in the tables.
#pragma once
#include <cstddef>
#include <span>

#include "kernels/kernels.h"
#include "kernels/panels.h"

namespace kakeya::kernels {

// What products read: rows, and their rounding to int8 where a weight is quantised.
struct Operand {
  Rows<const float> x;
  Int8Rows rounded;  // no rows while no weight needs them
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

// x and its rounding in `buffer` [int8_rows_bytes], which is empty when no weight is quantised.
Operand operand_of(const Compute& compute, Rows<const float> x, std::span<std::byte> buffer);
// The same, with the rounding still to be filled by quantise_rows.
Operand unfilled_operand(Rows<const float> x, std::span<std::byte> buffer);

}  // namespace kakeya::kernels
