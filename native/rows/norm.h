// Root-mean-square norm of one row, alone or added to a residual.
#pragma once

#include "vector.h"

namespace rows {

// 1 / sqrt(mean(x^2) + eps). Four chains of sixteen lanes, so that the order depends on n alone.
inline float inverse_rms(const float* x, float eps, int64_t n) {
    f32x16 sums[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
            const f32x16 v = load(x + i + 16 * k);
            sums[k] = sums[k] + v * v;
        }
    for_sixteens(n - i, [&](int64_t j, auto count) {
        const f32x16 v = load_some(x + i + j, count);
        sums[0] = sums[0] + v * v;
    });
    const float total = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
    return 1.0f / __builtin_sqrtf(total / float(n) + eps);
}

template <bool HAS_WEIGHT, bool ADD>
inline void norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
    const f32x16 factor = splat(inverse_rms(x, eps, n));
    for_sixteens(n, [&](int64_t i, auto count) {
        f32x16 y = load_some(x + i, count) * factor;
        if constexpr (HAS_WEIGHT) y = y * load_some(weight + i, count);
        if constexpr (ADD) y = load_some(out + i, count) + y;
        store_some(out + i, y, count);
    });
}

inline void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
    weight ? norm<true, false>(x, weight, eps, n, out) : norm<false, false>(x, weight, eps, n, out);
}

inline void add_rms_norm(float* residual, const float* y, const float* weight, float eps, int64_t n) {
    weight ? norm<true, true>(y, weight, eps, n, residual) : norm<false, true>(y, weight, eps, n, residual);
}

}  // namespace rows
