#include "peer_state.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace peers {
namespace {

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> data) : rest_(data) {}

  std::span<const std::uint8_t> bytes(std::size_t count) {
    if (count > rest_.size())
      throw std::runtime_error("peer state: ends early, expected the layout of v0.5.0");
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, bytes(sizeof value).data(), sizeof value);
    return value;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::uint8_t> rest_;
};

class Writer {
 public:
  template <class T>
  T number(T value) {
    const auto* at = reinterpret_cast<const std::uint8_t*>(&value);
    out_.insert(out_.end(), at, at + sizeof value);
    return value;
  }
  void repeated(std::span<const std::uint8_t> pattern, std::size_t total) {
    for (std::size_t left = total; left > 0;) {
      const std::size_t piece = std::min(left, pattern.size());
      out_.insert(out_.end(), pattern.begin(), pattern.begin() + static_cast<std::ptrdiff_t>(piece));
      left -= piece;
    }
  }
  std::vector<std::uint8_t> take() { return std::move(out_); }

 private:
  std::vector<std::uint8_t> out_;
};

void expect(std::uint32_t found, std::uint32_t expected, const char* what) {
  if (found != expected) {
    throw std::runtime_error(std::string("peer state: ") + what + " is " + std::to_string(found) +
                             ", expected " + std::to_string(expected));
  }
}

// One tensor: its type, then either rows of a cell each, or (transposed values) runs of all cells per
// element.
void repeat_tensor(Reader& in, Writer& out, bool transposed, std::uint32_t have, std::uint32_t want) {
  out.number(in.number<std::int32_t>());  // type
  std::uint64_t cell_bytes = 0;
  std::uint32_t runs = 1;
  if (transposed) {
    cell_bytes = out.number(in.number<std::uint32_t>());
    runs = out.number(in.number<std::uint32_t>());
  } else {
    cell_bytes = out.number(in.number<std::uint64_t>());
  }
  for (std::uint32_t i = 0; i < runs; ++i) out.repeated(in.bytes(have * cell_bytes), want * cell_bytes);
}

}  // namespace

std::vector<std::uint8_t> repeat_state(std::span<const std::uint8_t> saved, RepeatRange range) {
  Reader in(saved);
  Writer out;
  out.number(in.number<std::uint32_t>());  // magic
  out.number(in.number<std::int32_t>());   // sequence
  expect(out.number(in.number<std::uint32_t>()), 1, "number of streams");
  const auto have = in.number<std::uint32_t>();
  if (have == 0) throw std::runtime_error("peer state: no cells to repeat");
  out.number(range.count);
  for (std::uint32_t i = 0; i < have; ++i) {
    in.number<std::int32_t>();  // position
    expect(in.number<std::uint32_t>(), 1, "number of sequences of a cell");
    in.number<std::int32_t>();
  }
  for (std::uint32_t i = 0; i < range.count; ++i) {
    out.number(static_cast<std::int32_t>(range.first + i));
    out.number(std::uint32_t{1});
    out.number(std::int32_t{0});
  }
  const auto transposed = out.number(in.number<std::uint32_t>());
  const auto layers = out.number(in.number<std::uint32_t>());
  for (std::uint32_t i = 0; i < layers; ++i) repeat_tensor(in, out, false, have, range.count);
  for (std::uint32_t i = 0; i < layers; ++i) repeat_tensor(in, out, transposed == 1, have, range.count);
  if (!in.empty()) throw std::runtime_error("peer state: bytes left over, expected the layout of v0.5.0");
  return out.take();
}

}  // namespace peers
