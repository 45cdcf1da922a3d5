// A row of floats as 8-bit codes with one scale per 32: what quantised matrices are multiplied with.
//
// Bit for bit this, in float32, per group: m = max|x|; scale = m / 127; codes = rint(x * (127 / m)), halves to even. A group
// of zeros, or so small that 127 / m overflows, has scale 0 and codes 0. A group that holds an infinity or a NaN has
// scale NaN and codes 0, so that whatever is multiplied with it shows that something went wrong.
#pragma once

#include "vector.h"

namespace rows {

GEMSMITH_INLINE void quantize_group(f32x16 low, f32x16 high, int8_t* codes, float* scale, int32_t* sum) {
    // non-negative floats stand in the order of their bits, with infinity and NaN above all numbers
    const int32_t top = largest_of(larger(bits(absolute(low)), bits(absolute(high))));
    const float largest = __builtin_bit_cast(float, top), factor = 127.0f / largest;
    const bool is_finite = top < 0x7f800000, is_zero = !(factor < __builtin_inff());
    if (!is_finite || is_zero) {
        __builtin_memset(codes, 0, 32);
        *scale = is_finite ? 0.0f : __builtin_nanf("");
        *sum = 0;
        return;
    }
    const i32x16 first = rounded(low * splat(factor)), second = rounded(high * splat(factor));
    store(codes, to_bytes(first));
    store(codes + 16, to_bytes(second));
    *scale = largest / 127.0f;
    *sum = sum_of(first + second);
}

inline void quantize_row(const float* x, int64_t n, Quantized row) {
    const int64_t num_groups = ceil_div(n, GROUP), num_padded = padded(n) / GROUP;
    int64_t g = 0;
    for (; (g + 1) * GROUP <= n; ++g)
        quantize_group(load(x + g * 32), load(x + g * 32 + 16), row.codes + g * 32, row.scales + g, row.sums + g);
    if (g < num_groups) {
        const int64_t left = n - g * 32;
        const f32x16 low = load_first(x + g * 32, left, 0.0f);
        const f32x16 high = left > 16 ? load_first(x + g * 32 + 16, left - 16, 0.0f) : splat(0.0f);
        quantize_group(low, high, row.codes + g * 32, row.scales + g, row.sums + g);
        ++g;
    }
    for (; g < num_padded; ++g) {
        __builtin_memset(row.codes + g * 32, 0, 32);
        row.scales[g] = 0.0f;
        row.sums[g] = 0;
    }
}

}  // namespace rows
