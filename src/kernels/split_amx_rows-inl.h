// Rows of activations to their three parts. Included inside the region of split_amx.cc, after
// split_amx_tiles-inl.h.

// Lane i of vector j changes places with lane j of vector i.
KAKEYA_INLINE void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  constexpr int kEven = 0x88, kOdd = 0xdd;  // of the four blocks of 128 bits
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], kEven);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], kOdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], kEven);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], kOdd);
  }
  KAKEYA_UNROLL
  for (std::size_t i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], kEven);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], kOdd);
    v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kEven);
    v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], kOdd);
  }
}

// The upper halves of 32 floats, which are left with the rest.
KAKEYA_INLINE __m512i take_part(float* values) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  const __m512i a = _mm512_load_si512(values), b = _mm512_load_si512(values + 16);
  _mm512_store_ps(values,
                  _mm512_sub_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(_mm512_and_si512(a, upper))));
  _mm512_store_ps(values + 16,
                  _mm512_sub_ps(_mm512_castsi512_ps(b), _mm512_castsi512_ps(_mm512_and_si512(b, upper))));
  // Words 1, 3, 5, ... of both.
  __m512i odd = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13,
                                 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  odd = _mm512_add_epi16(_mm512_add_epi16(odd, odd), _mm512_set1_epi16(1));
  return _mm512_permutex2var_epi16(a, odd, b);
}

// Rows of one group, 16 at most, from where the first of them has its place; the group is `width` rows wide.
void split_group(Rows<const float> x, std::uint16_t* to, std::size_t width) {
  const auto there = static_cast<__mmask16>((1u << x.rows) - 1);
  alignas(64) float values[kGroup][kStep] = {};
  for (std::size_t i = 0; i < x.cols; i += kStep) {
    for (std::size_t r = 0; r < x.rows; ++r) {
      _mm512_store_ps(values[r], _mm512_loadu_ps(x.data + r * x.stride + i));
      _mm512_store_ps(values[r] + 16, _mm512_loadu_ps(x.data + r * x.stride + i + 16));
    }
    for (std::size_t part = 0; part < kParts; ++part, to += kStep * width) {
      __m512i pairs[kGroup];
      if (x.rows == 1 && width == 1) {
        _mm512_storeu_si512(to, take_part(values[0]));
        continue;
      }
      KAKEYA_UNROLL
      for (std::size_t r = 0; r < kGroup; ++r) pairs[r] = take_part(values[r]);
      transpose(pairs);
      KAKEYA_UNROLL
      for (std::size_t p = 0; p < kStep / 2; ++p) {
        _mm512_mask_storeu_epi32(to + 2 * p * width, there, pairs[p]);
      }
    }
  }
}
