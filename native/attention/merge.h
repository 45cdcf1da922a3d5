// Spans of one row and head, put together one after the other.
#pragma once

#include "../rows/functions.h"

namespace attention {

// What the spans so far come to; `sum` is 0 before the first.
struct Running {
    float largest = 0, sum = 0;
};

// One more span into `out`. The first is taken as it is.
inline void merge_span(Running& running, float* out, float largest, float sum, const float* values, int64_t head_dim) {
    if (running.sum == 0.0f) {
        __builtin_memcpy(out, values, size_t(head_dim) * sizeof(float));
        running = {largest, sum};
        return;
    }
    const float top = largest < running.largest ? running.largest : largest;
    const float old_share = rows::exp_negative(running.largest - top), new_share = rows::exp_negative(largest - top);
    rows::for_sixteens(head_dim, [&](int64_t i, auto count) {
        const rows::f32x16 x = rows::load_some(out + i, count) * rows::splat(old_share);
        rows::store_some(out + i, x + rows::load_some(values + i, count) * rows::splat(new_share), count);
    });
    running = {top, running.sum * old_share + sum * new_share};
}

inline void divide(const Running& running, float* out, int64_t head_dim) {
    rows::for_sixteens(head_dim, [&](int64_t i, auto count) {
        rows::store_some(out + i, rows::load_some(out + i, count) / rows::splat(running.sum), count);
    });
}

// Task (row, head) of a call that was cut by spans.
inline void merge(const AttentionCall& call, int64_t task) {
    const AttentionShape shape = attention_shape(call);
    const int64_t row = task / call.num_heads, head = task % call.num_heads, H = call.cache->head_dim;
    float* const out = call.out + row * call.out_stride + head * H;
    Running running;
    for (int64_t span = 0; span < shape.num_spans; ++span) {
        const float* const facts = call.scratch + span_facts_at(call, shape, span, row, head);
        if (facts[1] == 0.0f) continue;
        merge_span(running, out, facts[0], facts[1], call.scratch + span_values_at(call, span, row, head), H);
    }
    divide(running, out, H);
}

}  // namespace attention
