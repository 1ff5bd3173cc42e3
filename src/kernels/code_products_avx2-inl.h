// Products of codes with vectors of 16-bit numbers. Included once per instruction set, in a namespace with
//   dot(sums, a, b)  sums[i] + a[2 i] b[2 i] + a[2 i + 1] b[2 i + 1]
//   kRowBlock        rows that are multiplied together

constexpr std::size_t kHalf = 8;  // columns that are summed together

KAKEYA_INLINE __m256i load_i8(const std::int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// 16 columns of codes: chunks of [16, 16 columns, 4 codes], the 64 keys' dims or values' rows that a column
// is multiplied with.
struct Columns {
  const std::int8_t* codes;
  std::size_t chunks, stride;
};
constexpr std::size_t kChunk = 64, kChunkSteps = kChunk / 4;
constexpr std::size_t kSteps = 4;  // between two rounds of a loop, whose register moves cost time

// R rows as numbers of 16 bits, [cols / 4, R, 4].
template <std::size_t R>
class JoinedRows {
 public:
  JoinedRows(const PairRows& rows, std::size_t first) {
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t i = 0; i < rows.cols; i += 16) {
        const __m256i high = _mm256_slli_epi16(load_i8(rows.high(first + r) + i), 7);
        alignas(32) std::int64_t fours[4];
        _mm256_store_si256(reinterpret_cast<__m256i*>(fours),
                           _mm256_add_epi16(high, load_i8(rows.low(first + r) + i)));
        for (std::size_t k = 0; k < 4; ++k) fours_[(i / 4 + k) * R + r] = fours[k];
      }
    }
  }
  const std::int64_t* data() const { return fours_; }

 private:
  std::int64_t fours_[R * kMostProducts / 4];
};

// Sums of `kHalf` of the columns from `codes` on.
template <std::size_t R>
KAKEYA_INLINE void multiply(const std::int64_t* x, const Columns& columns, std::size_t half,
                            __m256i (&sums)[R]) {
  __m256i left[R], right[R];  // two sums a column
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) left[r] = right[r] = _mm256_setzero_si256();
  for (std::size_t c = 0; c < columns.chunks; ++c) {
    const std::int8_t* codes = columns.codes + c * columns.stride + half * kHalf * 4;
    for (std::size_t step = 0; step < kChunkSteps; step += kSteps, codes += kSteps * 64, x += kSteps * R) {
      KAKEYA_UNROLL
      for (std::size_t s = 0; s < kSteps; ++s) {
        const __m256i a = load_i8(codes + s * 64), b = load_i8(codes + s * 64 + 16);
        KAKEYA_UNROLL
        for (std::size_t r = 0; r < R; ++r) {
          const __m256i four = _mm256_set1_epi64x(x[s * R + r]);
          left[r] = dot(left[r], a, four);
          right[r] = dot(right[r], b, four);
        }
      }
    }
  }
  KAKEYA_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    sums[r] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(left[r], right[r]), 0b11011000);
  }
}

template <std::size_t R>
void score_rows(const PairRows& queries, std::size_t first, const std::int8_t* keys, std::size_t n,
                const float* scales, Rows<float> out) {
  const JoinedRows<R> x(queries, first);
  for (std::size_t j = 0; j < n; j += kHalf) {
    const Columns columns = {keys + j / 16 * 16 * queries.cols, queries.cols / kChunk, kChunk * 16};
    __m256i sums[R];
    multiply<R>(x.data(), columns, j % 16 / kHalf, sums);
    const __m256 scale = _mm256_loadu_ps(scales + j);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const __m256 score = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r]), scale);
      _mm256_storeu_ps(out.row(first + r).data() + j,
                       _mm256_mul_ps(score, _mm256_set1_ps(queries.steps[first + r])));
    }
  }
}

template <std::size_t R>
void sum_rows(const PairRows& weights, std::size_t first, const std::int8_t* values, Rows<float> y) {
  const JoinedRows<R> x(weights, first);
  for (std::size_t i = 0; i < y.cols; i += kHalf) {
    const Columns columns = {values + i / 16 * kChunk * 16, weights.cols / kChunk, kChunk * y.cols};
    __m256i sums[R];
    multiply<R>(x.data(), columns, i % 16 / kHalf, sums);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      _mm256_storeu_ps(y.row(first + r).data() + i,
                       _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r]), _mm256_set1_ps(weights.steps[first + r])));
    }
  }
}

// Calls f.operator()<R>(first) over all rows in blocks of R = kMost, then for the R < kMost that are left.
template <std::size_t kMost = kRowBlock, class F>
KAKEYA_INLINE void for_row_blocks(std::size_t rows, F f, std::size_t first = 0) {
  for (; rows - first >= kMost; first += kMost) f.template operator()<kMost>(first);
  if constexpr (kMost > 1) for_row_blocks<kMost - 1>(rows, f, first);
}

void scores(const PairRows& queries, const std::int8_t* keys, std::size_t n, const float* scales,
            Rows<float> out) {
  for_row_blocks(queries.rows, [&]<std::size_t R>(std::size_t first) {
    score_rows<R>(queries, first, keys, n, scales, out);
  });
}

void sums(const PairRows& weights, const std::int8_t* values, Rows<float> y) {
  for_row_blocks(weights.rows,
                 [&]<std::size_t R>(std::size_t first) { sum_rows<R>(weights, first, values, y); });
}
