// Packed rows to int8 with AVX-512 VBMI and GFNI: 16 values of four rows at a time. Intrinsics, because
// Highway has neither the unaligned bit fields of vpmultishiftqb nor 16-bit high products at full width on
// this path.
#include "lattice/row_codes.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <type_traits>

#include "kernels/panel_targets.h"
#include "lattice/row_codes_reader.h"

KAKEYA_BEGIN_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,gfni,f16c")
namespace kakeya::lattice {
namespace {

#define KAKEYA_INLINE inline __attribute__((always_inline))

KAKEYA_INLINE __m512i broadcast(const std::array<std::uint8_t, 16>& bytes) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data())));
}

// kSmall: CodePlan::small.
template <Kind kKind, bool kSmall>
class Unpacker {
 public:
  explicit Unpacker(const CodePlan& plan)
      : order_{broadcast(plan.order[0]), broadcast(plan.order[1])},
        select_{broadcast(plan.select[0]), broadcast(plan.select[1])},
        row_order_(_mm512_loadu_si512(plan.row_order.data())),
        row_select_(_mm512_loadu_si512(plan.row_select.data())),
        mask_(_mm512_set1_epi32(static_cast<int>(plan.format.mask[0] | plan.format.mask[1] << 16) * 2)),
        inverse_(_mm512_set1_epi16(static_cast<short>(kSmall ? plan.direct : plan.inverse))),
        shift_(_mm512_set1_epi16(static_cast<short>(plan.shift + 1))),
        high_(_mm512_set1_epi16(static_cast<short>(2 * (256 - plan.format.radix)))),
        clamped_(_mm512_loadu_si512(plan.clamped.data())),
        largest_(_mm512_set1_epi8(static_cast<char>(4 * plan.format.q + 2))),
        zero_(_mm512_set1_epi8(static_cast<char>(2 * plan.format.q + 2))) {}

  // The same 16 values of four rows: row r's, which begin at rows(r), in 128-bit lane r.
  template <class Rows>
  KAKEYA_INLINE __m512i pair(const Rows& rows, std::size_t odd) const {
    __m512i bytes = _mm512_castsi128_si512(load(rows(0)));
    bytes = _mm512_inserti32x4(bytes, load(rows(1)), 1);
    bytes = _mm512_inserti32x4(bytes, load(rows(2)), 2);
    bytes = _mm512_inserti32x4(bytes, load(rows(3)), 3);
    return values(_mm512_shuffle_epi8(bytes, order_[odd]), select_[odd]);
  }

  // 64 values of the row whose bytes from the first of them on are `bytes`.
  KAKEYA_INLINE __m512i row(__m512i bytes) const {
    return values(_mm512_permutexvar_epi8(row_order_, bytes), row_select_);
  }

 private:
  // Of eight groups, each in a quadword.
  KAKEYA_INLINE __m512i values(__m512i groups, __m512i select) const {
    const __m512i doubled_field = _mm512_and_si512(_mm512_multishift_epi64_epi8(select, groups), mask_);
    // A field d0 + R d1, doubled, becomes the bytes 2 d0, 2 d1.
    __m512i quotient = _mm512_mulhi_epu16(doubled_field, inverse_);
    if constexpr (!kSmall) quotient = _mm512_srlv_epi16(quotient, shift_);
    const __m512i digits = _mm512_add_epi16(doubled_field, _mm512_mullo_epi16(quotient, high_));
    const __m512i points = restore_parity(digits);
    if constexpr (kSmall) return _mm512_permutexvar_epi8(points, clamped_);
    const __m512i clamped = _mm512_min_epu8(_mm512_max_epu8(points, _mm512_set1_epi8(2)), largest_);
    return _mm512_sub_epi8(clamped, zero_);
  }

  static KAKEYA_INLINE __m128i load(const std::uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }

  // Doubled digits to the same plus the coset, with the parity that the last digit of a block lost.
  static KAKEYA_INLINE __m512i restore_parity(__m512i digits) {
    if constexpr (kKind == Kind::kE8) {
      // Eight digits are the matrix of a product over GF(2): every byte of `lowest` has the lowest bits of
      // all eight, the last digit's, which is the coset, in bit 0. A second product keeps it and puts the
      // parity into bit 1.
      const __m512i lowest = _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi8(2), digits, 0);
      const __m512i bits = _mm512_gf2p8affine_epi64_epi8(lowest, _mm512_set1_epi64(0x01ff000000000000), 0);
      // 2 digits ^ coset, of the last digit ^ 2 parity as well
      return _mm512_ternarylogic_epi64(digits, bits, _mm512_set1_epi64(0x0301010101010101), 0x78);
    }
    const __m512i parity =
        _mm512_slli_epi32(_mm512_popcnt_epi32(_mm512_and_si512(digits, _mm512_set1_epi32(0x00020202))), 25);
    const __m512i last = _mm512_and_si512(digits, _mm512_set1_epi32(static_cast<int>(0xff000000u)));
    return _mm512_ternarylogic_epi32(_mm512_add_epi8(digits, last), parity, _mm512_set1_epi32(1 << 25), 0xf8);
  }

  __m512i order_[2], select_[2], row_order_, row_select_;
  __m512i mask_, inverse_, shift_, high_;
  __m512i clamped_;         // kSmall
  __m512i largest_, zero_;  // not kSmall
};

// Calls take(first value, row, values of rows row to row + 3) for 64 values of four rows at a time. Rows
// beyond the last stand for that one.
template <Kind kKind, bool kSmall, class Take>
KAKEYA_INLINE void for_four_rows(const CodePlan& plan, const PackedRows& packed, const Take& take) {
  constexpr std::size_t kValues = 64;
  const Unpacker<kKind, kSmall> unpacker(plan);
  const std::size_t dim = plan.format.dim, stride = packed.stride;
  const auto bytes = static_cast<std::size_t>(plan.format.group_bits);  // of as many values
  const std::uint8_t* codes = packed.codes;
  base::LineAsker asker(packed.wanted);
  for (std::size_t i = 0; i < dim; i += kValues, codes += bytes) {
    const std::size_t room = std::min<std::size_t>(64, plan.format.code_bytes - i / kValues * bytes);
    const __mmask64 mask = ~std::uint64_t{0} >> (64 - room);
    // As long as whole vectors end before the buffer does.
    const auto room_of_all = static_cast<std::size_t>(packed.end - codes);
    const std::size_t whole = room_of_all < 64 ? 0 : std::min(packed.rows, (room_of_all - 64) / stride + 1);
    std::size_t r = 0;
    for (const std::uint8_t* row = codes; r + 4 <= whole; r += 4, row += 4 * stride) {
      // At most four lines, one at a time, between rows.
      const std::size_t lines = asker.fill(4 * stride * kValues / dim);
      const auto next = [&](std::size_t j) __attribute__((always_inline)) {
        if (j < lines) asker.ask_one();
        return unpacker.row(_mm512_loadu_si512(row + j * stride));
      };
      const __m512i x[4] = {next(0), next(1), next(2), next(3)};
      take(i, r, x);
    }
    for (; r < packed.rows; r += 4) {
      const auto row = [&](std::size_t j) __attribute__((always_inline)) {
        const std::uint8_t* at = codes + std::min(r + j, packed.rows - 1) * stride;
        return unpacker.row(_mm512_maskz_loadu_epi8(mask, at));
      };
      const __m512i x[4] = {row(0), row(1), row(2), row(3)};
      take(i, r, x);
    }
  }
}

template <Kind kKind, bool kSmall>
void rows_by(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  const std::size_t dim = plan.format.dim;
  const auto take = [=](std::size_t i, std::size_t r, const __m512i(&x)[4]) __attribute__((always_inline)) {
    std::int8_t* to = out + r * dim + i;
    _mm512_store_si512(to, x[0]);
    _mm512_store_si512(to + dim, x[1]);
    _mm512_store_si512(to + 2 * dim, x[2]);
    _mm512_store_si512(to + 3 * dim, x[3]);
  };
  for_four_rows<kKind, kSmall>(plan, packed, take);
}

// Dword t of every lane of the four vectors side by side at out + 64 t, rows in order.
KAKEYA_INLINE void transpose(const __m512i (&in)[4], std::int8_t* out) {
  const __m512i a = _mm512_unpacklo_epi32(in[0], in[1]), b = _mm512_unpackhi_epi32(in[0], in[1]);
  const __m512i c = _mm512_unpacklo_epi32(in[2], in[3]), d = _mm512_unpackhi_epi32(in[2], in[3]);
  _mm512_store_si512(out, _mm512_unpacklo_epi64(a, c));
  _mm512_store_si512(out + 64, _mm512_unpackhi_epi64(a, c));
  _mm512_store_si512(out + 128, _mm512_unpacklo_epi64(b, d));
  _mm512_store_si512(out + 192, _mm512_unpackhi_epi64(b, d));
}

// Blocks of kKeyRows rows. at(r) is where row r of the block begins.
template <class Unpack, class At>
KAKEYA_INLINE void key_block(const Unpack& unpacker, const CodePlan& plan, std::size_t stride, const At& at,
                             base::LineAsker& asker, std::int8_t* out) {
  const std::size_t step = plan.offset(2), odd_offset = plan.offset(1);
  const std::size_t ask = kKeyRows * stride / (plan.format.dim / 32);
  std::size_t offset = 0;
  // Lane l of vector v is row 4 l + v.
  const auto pair = [&](std::size_t odd) __attribute__((always_inline)) {
    const std::size_t from = offset + odd * odd_offset;
    const auto vector = [&](std::size_t v) __attribute__((always_inline)) {
      return unpacker.pair(
          [&](std::size_t l) __attribute__((always_inline)) { return at(4 * l + v) + from; }, odd);
    };
    const __m512i vectors[4] = {vector(0), vector(1), vector(2), vector(3)};
    transpose(vectors, out);
    out += 16 * kKeyRows;
  };
  for (std::size_t p = 0; p < plan.format.dim / 32; ++p, offset += step) {
    asker.ask(ask);
    pair(0);
    pair(1);
  }
}

template <Kind kKind, bool kSmall>
void keys_by(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  const Unpacker<kKind, kSmall> unpacker(plan);
  const RowReader reader(plan, packed);
  base::LineAsker asker(packed.wanted);
  const std::size_t block = kKeyRows * plan.format.dim, stride = packed.stride;
  for (std::size_t first = 0; first < packed.rows; first += kKeyRows, out += block) {
    if (first + kKeyRows < packed.rows) {
      // Four addresses and the stride fit the registers that 16 addresses would not.
      const std::uint8_t* const base = packed.codes + first * stride;
      const std::uint8_t* const quads[4] = {base, base + 4 * stride, base + 8 * stride, base + 12 * stride};
      const auto at = [&](std::size_t r) __attribute__((always_inline)) {
        return quads[r / 4] + r % 4 * stride;
      };
      key_block(unpacker, plan, stride, at, asker, out);
    } else {
      const std::uint8_t* rows[kKeyRows];
      for (std::size_t i = 0; i < kKeyRows; ++i) rows[i] = reader.row(first + i);
      const auto at = [&](std::size_t r) __attribute__((always_inline)) { return rows[r]; };
      key_block(unpacker, plan, stride, at, asker, out);
    }
  }
}

// 64 values of each of four rows to four tiles, byte r of every dword from row r: lane l of tile v has the
// dims from 16 l + 4 v on (lane_swapped).
KAKEYA_INLINE void interleave(const __m512i (&in)[4], std::int8_t* out, std::size_t tile) {
  const __m512i a = _mm512_unpacklo_epi8(in[0], in[1]), b = _mm512_unpackhi_epi8(in[0], in[1]);
  const __m512i c = _mm512_unpacklo_epi8(in[2], in[3]), d = _mm512_unpackhi_epi8(in[2], in[3]);
  _mm512_store_si512(out, _mm512_unpacklo_epi16(a, c));
  _mm512_store_si512(out + tile, _mm512_unpackhi_epi16(a, c));
  _mm512_store_si512(out + 2 * tile, _mm512_unpacklo_epi16(b, d));
  _mm512_store_si512(out + 3 * tile, _mm512_unpackhi_epi16(b, d));
}

template <Kind kKind, bool kSmall>
void values_by(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  constexpr std::size_t kTile = 16 * kValueRows;
  const auto take = [=](std::size_t i, std::size_t r, const __m512i(&x)[4]) __attribute__((always_inline)) {
    interleave(x, out + i / 16 * kTile + r * 16, kTile);
  };
  for_four_rows<kKind, kSmall>(plan, packed, take);
}

// Calls f with the kind of the plan's lattice and whether the plan is small, both as types.
template <class F>
KAKEYA_INLINE void with_plan(const CodePlan& plan, const F& f) {
  using E8 = std::integral_constant<Kind, Kind::kE8>;
  using D4 = std::integral_constant<Kind, Kind::kD4>;
  if (plan.format.kind == Kind::kD4) {
    plan.small ? f(D4(), std::true_type()) : f(D4(), std::false_type());
  } else {
    plan.small ? f(E8(), std::true_type()) : f(E8(), std::false_type());
  }
}

void rows(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  with_plan(plan, [&](auto kind, auto small) { rows_by<kind, small>(plan, packed, out); });
}
void keys(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  with_plan(plan, [&](auto kind, auto small) { keys_by<kind, small>(plan, packed, out); });
}
void values(const CodePlan& plan, const PackedRows& packed, std::int8_t* out) {
  KAKEYA_CHECK(packed.rows <= kValueRows);
  with_plan(plan, [&](auto kind, auto small) { values_by<kind, small>(plan, packed, out); });
}

void scales(const std::uint32_t* headers, std::size_t n, int q, float* out) {
  const __m512 range = _mm512_set1_ps(static_cast<float>(q));
  for (std::size_t i = 0; i < n; i += 16) {
    const __m512i header = _mm512_loadu_si512(headers + i);
    const __m512i magnitude = _mm512_and_si512(header, _mm512_set1_epi32(0x7fff7fff));
    const __m512 norm = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(magnitude));
    const __m512 peak = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(magnitude, 16)));
    const __m512 scale = _mm512_mul_ps(_mm512_div_ps(_mm512_mul_ps(norm, peak), range), _mm512_set1_ps(0.5f));
    const __m512i sign = _mm512_and_si512(header, _mm512_set1_epi32(static_cast<int>(0x80000000u)));
    _mm512_storeu_ps(out + i, _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(scale), sign)));
  }
}

}  // namespace
}  // namespace kakeya::lattice
KAKEYA_END_TARGET

namespace kakeya::lattice {
namespace {

bool has_vbmi() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kVbmi = 1u << 1, kGaloisField = 1u << 8, kPopcount = 1u << 14;  // ecx
  return (ecx & kVbmi) != 0 && (ecx & kGaloisField) != 0 && (ecx & kPopcount) != 0;
}

}  // namespace

// Asked for only beside a kernel table of AVX-512, whose registers the system then saves.
const RowCodes* vbmi_row_codes() {
  static constexpr RowCodes kTable = {
      .name = "vbmi", .swaps_lanes = true, .rows = rows, .keys = keys, .values = values, .scales = scales};
  static const bool found = has_vbmi();
  return found ? &kTable : nullptr;
}

}  // namespace kakeya::lattice
#else
namespace kakeya::lattice {
const RowCodes* vbmi_row_codes() { return nullptr; }
}  // namespace kakeya::lattice
#endif
