// exp and tanh, all lanes at once, within 3e-7 of the true value (relative), with the same bits in every set.
//
// Range reduction and polynomials after Cephes (Moshier, expf and tanhf); without fused multiply-add, so that sets agree.
#pragma once

#include "vector.h"

namespace rows {

// e^x for x <= 0, the only case softmax, tanh and the logistic function need; 0 below -87, where it leaves normal floats.
GEMSMITH_INLINE f32x16 exp_negative(f32x16 x) {
    const f32x16 shifted = x * splat(1.44269504088896341f) + splat(ROUNDING);
    const f32x16 n = shifted - splat(ROUNDING);
    const f32x16 r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);  // x - n ln 2, in two pieces
    f32x16 y = splat(1.9875691500e-4f);
    y = y * r + splat(1.3981999507e-3f);
    y = y * r + splat(8.3334519073e-3f);
    y = y * r + splat(4.1665795894e-2f);
    y = y * r + splat(1.6666665459e-1f);
    y = y * r + splat(5.0000001201e-1f);
    y = y * (r * r) + r + splat(1.0f);
    // times 2^n, by a multiplication: what is not a number must stay so
    const f32x16 power = from_bits((bits(shifted) - bits(splat(ROUNDING)) + splat(int32_t(127))) << 23);
    return select(x < splat(-87.0f), splat(0.0f), y * power);
}
GEMSMITH_INLINE float exp_negative(float x) { return exp_negative(splat(x)).part[0][0]; }

GEMSMITH_INLINE f32x16 tanh(f32x16 x) {
    const f32x16 size = absolute(x), z = x * x;
    f32x16 y = splat(-5.70498872745e-3f);
    y = y * z + splat(2.06390887954e-2f);
    y = y * z + splat(-5.37397155531e-2f);
    y = y * z + splat(1.33314422036e-1f);
    y = y * z + splat(-3.33332819422e-1f);
    const f32x16 near = y * z * x + x;
    const f32x16 e = exp_negative(splat(-2.0f) * size);
    const f32x16 far = (splat(1.0f) - e) / (splat(1.0f) + e);
    const f32x16 with_sign = from_bits(bits(far) | (bits(x) & splat(int32_t(0x80000000))));
    return select(size < splat(0.625f), near, with_sign);
}

// x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2, as x times the logistic function of twice tanh's argument, which
// keeps its relative accuracy where tanh comes close to -1.
GEMSMITH_INLINE f32x16 gelu_tanh(f32x16 x) {
    const f32x16 t = splat(1.5957691216057308f) * (x + splat(0.044715f) * (x * x * x));
    const f32x16 e = exp_negative(splat(0.0f) - absolute(t));
    return x * (select(t < splat(0.0f), e, splat(1.0f)) / (splat(1.0f) + e));
}

}  // namespace rows
