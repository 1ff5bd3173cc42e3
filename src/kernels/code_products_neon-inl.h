// Rows of scores and sums from products of 16 columns of codes. Included once per instruction set, in a
// namespace with
//   kColumnVectors<R>  vectors of four columns that are summed together for R rows
//   Operand<R>         the codes of R rows as the products read them
//   multiply<R>        128 * high + low sums of the columns from 4 * `at` on

constexpr std::size_t kRowBlock = 4;  // rows that are multiplied together

template <std::size_t R>
void score_rows(const PairRows& queries, std::size_t first, const std::int8_t* keys, std::size_t n,
                const float* scales, Rows<float> out) {
  const Operand<R> x(queries, first);
  for (std::size_t j = 0; j < n; j += 4 * kColumnVectors<R>) {
    const Columns columns = {keys + j / 16 * 16 * queries.cols, queries.cols / kChunk, kChunk * 16};
    int32x4_t sums[R][kColumnVectors<R>];
    multiply<R>(x, columns, j % 16 / 4, sums);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      KAKEYA_UNROLL
      for (std::size_t c = 0; c < kColumnVectors<R>; ++c) {
        const float32x4_t score = vmulq_f32(vcvtq_f32_s32(sums[r][c]), vld1q_f32(scales + j + 4 * c));
        vst1q_f32(out.row(first + r).data() + j + 4 * c, vmulq_n_f32(score, queries.steps[first + r]));
      }
    }
  }
}

template <std::size_t R>
void sum_rows(const PairRows& weights, std::size_t first, const std::int8_t* values, Rows<float> y) {
  const Operand<R> x(weights, first);
  for (std::size_t i = 0; i < y.cols; i += 4 * kColumnVectors<R>) {
    const Columns columns = {values + i / 16 * kChunk * 16, weights.cols / kChunk, kChunk * y.cols};
    int32x4_t sums[R][kColumnVectors<R>];
    multiply<R>(x, columns, i % 16 / 4, sums);
    KAKEYA_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      KAKEYA_UNROLL
      for (std::size_t c = 0; c < kColumnVectors<R>; ++c) {
        vst1q_f32(y.row(first + r).data() + i + 4 * c,
                  vmulq_n_f32(vcvtq_f32_s32(sums[r][c]), weights.steps[first + r]));
      }
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
