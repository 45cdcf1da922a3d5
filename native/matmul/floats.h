// Float matrices (F32, F16, BF16) times float activations, for one instruction set: the router, which is small, and
// checkpoints packed as they are. Each result is one chain over the columns, fused(weight, value, sum), from zero.
// Included inside the namespace of one instruction set, after lanes_*.h.

// All rows of one block times T tokens.
template <Format F, int T>
inline void float_block(const std::byte* block, int64_t cols, const float* x, int64_t x_stride, float* out,
                        int64_t stride) {
    constexpr int UNITS_OF_BLOCK = BLOCK_ROWS / LANES;
    constexpr int64_t WEIGHT_BYTES = F == Format::F32 ? 4 : 2;
    Floats sums[UNITS_OF_BLOCK][T];
    for (int u = 0; u < UNITS_OF_BLOCK; ++u)
        for (int t = 0; t < T; ++t) sums[u][t] = splat(0.0f);

    for (int64_t c = 0; c < cols; ++c)
        for (int u = 0; u < UNITS_OF_BLOCK; ++u) {
            const Floats weights = load_as_float<F>(block + (c * BLOCK_ROWS + u * LANES) * WEIGHT_BYTES);
            for (int t = 0; t < T; ++t) sums[u][t] = fused(weights, splat(x[t * x_stride + c]), sums[u][t]);
        }

    for (int u = 0; u < UNITS_OF_BLOCK; ++u)
        for (int t = 0; t < T; ++t) store(out + t * stride + u * LANES, sums[u][t]);
}

template <Format F>
inline void matmul_floats(const Matrix& m, int64_t begin, int64_t end, const float* x, int64_t x_stride,
                          int64_t num_tokens, float* out, int64_t stride) {
    constexpr int T = FLOAT_TILE;
    const int64_t bytes = row_block_bytes(F, m.cols);
    for (int64_t r = begin; r < end; ++r) {
        const std::byte* block = m.data + r * bytes;
        int64_t t = 0;
        for (; t + T <= num_tokens; t += T)
            float_block<F, T>(block, m.cols, x + t * x_stride, x_stride, out + t * stride + r * BLOCK_ROWS, stride);
        for (; t < num_tokens; ++t)
            float_block<F, 1>(block, m.cols, x + t * x_stride, x_stride, out + t * stride + r * BLOCK_ROWS, stride);
    }
}
