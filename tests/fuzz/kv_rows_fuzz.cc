// Arbitrary bytes as packed KV rows with their side bytes: every variant reads the same, nothing else.
#include <cstring>

#include "kv_channels.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kakeya;
  const kv::RowCodec& codec = choose_codec(data, size);
  const std::size_t rows = std::min<std::size_t>(size / codec.row_bytes(), 70);
  if (rows == 0) return 0;
  // Copies of exactly the right size: a sanitizer sees the first byte read beyond them.
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> packed(bytes, bytes + rows * codec.row_bytes());
  const std::vector<std::byte> side(bytes + packed.size(), bytes + size);
  const std::size_t dim = codec.dim();
  std::vector<float> expected(rows * dim), expected_scales(rows), tile(rows * dim), scales(rows), row(dim);
  const auto& variants = kernels::available();
  codec.unpack(*variants.front(), packed.data(), rows, side, {expected.data(), rows, dim},
               expected_scales.data());
  for (const kernels::Table* ops : variants) {
    codec.unpack(*ops, packed.data(), rows, side, {tile.data(), rows, dim}, scales.data());
    FUZZ_CHECK(std::memcmp(tile.data(), expected.data(), tile.size() * sizeof(float)) == 0);
    FUZZ_CHECK(std::memcmp(scales.data(), expected_scales.data(), rows * sizeof(float)) == 0);
    for (std::size_t r = 0; r < rows; ++r) {
      codec.decode(*ops, packed.data() + r * codec.row_bytes(), side, row);
      (void)codec.side_bytes(packed.data() + r * codec.row_bytes());
    }
  }
  return 0;
}
