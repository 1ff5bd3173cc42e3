// Integer sums of products of codes to floats, with AVX-512. Included inside the region of a file that
// compiles for it, within its own namespace.

KAKEYA_INLINE __m512 joined(__m512i high, __m512i low) {
  return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(high, 7), low));
}
KAKEYA_INLINE __m512 scored(__m512i high, __m512i low, __m512 scale, float step) {
  return _mm512_mul_ps(_mm512_mul_ps(joined(high, low), scale), _mm512_set1_ps(step));
}
KAKEYA_INLINE __m512 stepped(__m512i high, __m512i low, float step) {
  return _mm512_mul_ps(joined(high, low), _mm512_set1_ps(step));
}
