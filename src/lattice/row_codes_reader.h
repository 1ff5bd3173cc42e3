// Where vectors find the rows that row_codes.h unpacks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "lattice/row_codes.h"

namespace kakeya::lattice {

inline constexpr std::size_t kPairLoad = 16;  // bytes read from the start of a pair of groups

// Pointers to rows. The last row of a buffer is read from a copy with room behind it; rows beyond the last
// stand for that one.
class RowReader {
 public:
  RowReader(const CodePlan& plan, const PackedRows& rows) : rows_(rows) {
    const std::size_t last = rows.rows - 1;
    const std::uint8_t* codes = rows.codes + last * rows.stride;
    const auto room = static_cast<std::size_t>(rows.end - codes);
    KAKEYA_CHECK(room >= plan.format.code_bytes && rows.stride >= kPairLoad);
    last_ = codes;
    if (room >= plan.format.code_bytes + kPairLoad) return;
    std::memcpy(copy_, codes, plan.format.code_bytes);
    last_ = copy_;
  }
  // Inlined, so that no function shared with other files is built for more than the program's own target.
  __attribute__((always_inline)) const std::uint8_t* row(std::size_t r) const {
    return r + 1 < rows_.rows ? rows_.codes + r * rows_.stride : last_;
  }

 private:
  const PackedRows& rows_;
  const std::uint8_t* last_ = nullptr;
  std::uint8_t copy_[kMaxCodeBytes + kPairLoad] = {};
};

}  // namespace kakeya::lattice
