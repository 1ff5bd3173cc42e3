// A view of a matrix whose rows are contiguous; our stand-in for mdspan. Passed by value, never owns.
#pragma once
#include <cstddef>
#include <span>
#include <type_traits>

namespace kakeya {

template <class T>
struct Rows {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  // elements from one row to the next, >= cols

  Rows() = default;
  Rows(T* d, std::size_t r, std::size_t c) : data(d), rows(r), cols(c), stride(c) {}
  Rows(T* d, std::size_t r, std::size_t c, std::size_t s) : data(d), rows(r), cols(c), stride(s) {}
  operator Rows<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, stride}; }

  std::span<T> row(std::size_t i) const { return {data + i * stride, cols}; }
  // Rows [first, first + count).
  Rows sub(std::size_t first, std::size_t count) const {
    return {data + first * stride, count, cols, stride};
  }
};

}  // namespace kakeya
