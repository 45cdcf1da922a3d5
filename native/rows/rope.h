// Rotary position embedding of one head in place; pairs stand half a head apart, as Gemma's checkpoints have them.
#pragma once

#include "vector.h"

namespace rows {

inline void rope(float* head, const float* cosines, const float* sines, int64_t num_pairs, int64_t half) {
    for_sixteens(num_pairs, [&](int64_t i, auto count) {
        const f32x16 c = load_some(cosines + i, count), s = load_some(sines + i, count);
        const f32x16 a = load_some(head + i, count), b = load_some(head + half + i, count);
        store_some(head + i, a * c - b * s, count);
        store_some(head + half + i, b * c + a * s, count);
    });
}

}  // namespace rows
