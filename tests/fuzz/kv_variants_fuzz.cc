// Arbitrary floats into packed KV rows: lattice codes of every CPU variant equal those of scalar, bit by bit,
// and every codec refuses NaN and infinity and nothing else.
#include <cmath>
#include <cstring>

#include "kv_channels.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kakeya;
  const kv::RowCodec& codec = choose_codec(data, size);
  std::vector<float> x(codec.dim(), 0.0f);
  if (size > 0) {  // short inputs repeat, so that a few bytes fill a row
    for (std::size_t i = 0; i < x.size() * sizeof(float); ++i) {
      reinterpret_cast<std::uint8_t*>(x.data())[i] = data[i % size];
    }
  }
  bool finite = true;
  for (const float v : x) finite = finite && std::isfinite(v);
  std::vector<std::byte> expected(codec.row_bytes()), row(codec.row_bytes());
  kv::SideRows expected_side;
  const auto& variants = kernels::available();
  const Status reference = codec.encode(*variants.front(), x, expected.data(), expected_side);
  FUZZ_CHECK(reference.ok() == finite);
  FUZZ_CHECK(reference.ok() || reference.error().code == ErrorCode::kNumeric);
  for (const kernels::Table* ops : variants) {
    kv::SideRows side;
    const Status status = codec.encode(*ops, x, row.data(), side);
    FUZZ_CHECK(status.ok() == finite);
    if (!finite) continue;
    if (codec.rotated() && codec.side_bytes(row.data()) == side.size()) {
      FUZZ_CHECK(side == expected_side && row == expected);
    }
    std::vector<float> out(codec.dim());
    codec.decode(*ops, row.data(), side, out);
    for (const float v : out) FUZZ_CHECK(!std::isnan(v));
  }
  return 0;
}
