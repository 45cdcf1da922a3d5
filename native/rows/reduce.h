// A row's largest value and the sum of its exponentials: what a log-probability needs besides the logit itself.
#pragma once

#include "functions.h"

namespace rows {

constexpr int64_t SUM_BLOCK = 1024;  // values summed by themselves before they join the rest: keeps rounding small over 262,144

GEMSMITH_INLINE f32x16 exponentials(const float* x, int64_t n, float largest) {
    f32x16 sum = splat(0.0f);
    for_sixteens(n, [&](int64_t i, auto count) {
        sum = sum + exp_negative(load_some(x + i, count, -__builtin_inff()) - splat(largest));
    });
    return sum;
}

inline void max_and_sum(const float* x, int64_t n, float* largest, float* sum) {
    f32x16 top = splat(-__builtin_inff());
    for_sixteens(n, [&](int64_t i, auto count) {
        top = larger(load_some(x + i, count, -__builtin_inff()), top);
    });
    *largest = largest_of(top);
    f32x16 total = splat(0.0f);
    for (int64_t i = 0; i < n; i += SUM_BLOCK)
        total = total + exponentials(x + i, n - i < SUM_BLOCK ? n - i : SUM_BLOCK, *largest);
    *sum = sum_of(total);
}

}  // namespace rows
