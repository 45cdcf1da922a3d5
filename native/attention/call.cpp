#include "call.h"

#include <algorithm>

#include "../types.h"

namespace gemsmith {

namespace {

constexpr int64_t HEADS_PER_TASK = 8;     // of one row: more are split, which gives threads something to share
constexpr int64_t ENOUGH_TASKS = 16;      // from here on tasks walk their spans themselves, and nothing is merged

int64_t value_stride(const AttentionCall& call) { return (call.cache->head_dim + 15) / 16 * 16; }

// Tasks that walk all spans.
AttentionShape shape_of(const AttentionCall& call, int64_t most_heads) {
    AttentionShape s{};
    s.heads_per_kv = call.num_heads / call.cache->num_heads;
    s.heads_per_task = std::min(s.heads_per_kv, most_heads);
    s.num_groups = ceil_div(s.heads_per_kv, s.heads_per_task);
    s.rows_per_task = VECTORS_PER_TASK / s.heads_per_task;
    s.num_row_tiles = ceil_div(call.num_rows, s.rows_per_task);
    s.num_spans = 1;
    return s;
}

}  // namespace

AttentionShape attention_shape(const AttentionCall& call) {
    AttentionShape s = shape_of(call, HEADS_PER_TASK);
    const int64_t tasks = s.num_tasks(call.cache->num_heads);
    if (!call.num_rows || tasks >= ENOUGH_TASKS) return s;
    const int64_t first_span = *std::min_element(call.first, call.first + call.num_rows) / SPAN;
    const int64_t num_spans = (*std::max_element(call.end, call.end + call.num_rows) + SPAN - 1) / SPAN - first_span;
    if (num_spans <= 1) return tasks == 1 ? shape_of(call, HEADS_PER_TASK / 2) : s;
    s.one_span_each = true;
    s.first_span = first_span;
    s.num_spans = num_spans;
    return s;
}

int64_t attention_tasks(const AttentionCall& call) { return attention_shape(call).num_tasks(call.cache->num_heads); }

int64_t merge_tasks(const AttentionCall& call) {
    return attention_shape(call).one_span_each ? call.num_rows * call.num_heads : 0;
}

int64_t attention_scratch(const AttentionCall& call) {
    const AttentionShape shape = attention_shape(call);
    return shape.one_span_each ? span_facts_at(call, shape, shape.num_spans, 0, 0) : 0;
}

int64_t span_values_at(const AttentionCall& call, int64_t span, int64_t row, int64_t head) {
    return ((span * call.num_rows + row) * call.num_heads + head) * value_stride(call);
}

int64_t span_facts_at(const AttentionCall& call, const AttentionShape& shape, int64_t span, int64_t row, int64_t head) {
    const int64_t behind_values = span_values_at(call, shape.num_spans, 0, 0);
    return behind_values + 2 * ((span * call.num_rows + row) * call.num_heads + head);
}

}  // namespace gemsmith
