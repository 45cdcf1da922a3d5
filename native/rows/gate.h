// Elementwise functions of a row: the MLP's gate and the logits' soft cap.
#pragma once

#include "functions.h"

namespace rows {

inline void gelu_gate(const float* gate, const float* up, int64_t n, float* out) {
    for_sixteens(n, [&](int64_t i, auto count) {
        store_some(out + i, gelu_tanh(load_some(gate + i, count)) * load_some(up + i, count), count);
    });
}

inline void softcap(float* x, int64_t n, float cap) {
    for_sixteens(n, [&](int64_t i, auto count) {
        store_some(x + i, splat(cap) * tanh(load_some(x + i, count) / splat(cap)), count);
    });
}

}  // namespace rows
