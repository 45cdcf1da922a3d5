// A task of attention (call.h): some rows and the query heads of one K/V head, over one span or over all they see.
// Included, with append.h and merge.h, inside the namespace of one instruction set.
#pragma once

#include "append.h"
#include "merge.h"
#include "span.h"

namespace attention {

// A task's query vectors: its rows' heads, row by row.
struct TaskVectors {
    int64_t kv_head, first_row, first_head, num_heads, num_vectors, span;
    int64_t row(int64_t v) const { return first_row + v / num_heads; }
    int64_t head(int64_t v) const { return first_head + v % num_heads; }
};

inline TaskVectors task_vectors(const AttentionCall& call, const AttentionShape& shape, int64_t task) {
    TaskVectors t{};
    const int64_t group = task % shape.num_groups;
    task /= shape.num_groups;
    t.span = shape.first_span + task % shape.num_spans;
    task /= shape.num_spans;
    t.kv_head = task % call.cache->num_heads;
    t.first_row = task / call.cache->num_heads * shape.rows_per_task;
    const int64_t rows_left = call.num_rows - t.first_row, heads_left = shape.heads_per_kv - group * shape.heads_per_task;
    t.first_head = t.kv_head * shape.heads_per_kv + group * shape.heads_per_task;
    t.num_heads = heads_left < shape.heads_per_task ? heads_left : shape.heads_per_task;
    t.num_vectors = (rows_left < shape.rows_per_task ? rows_left : shape.rows_per_task) * t.num_heads;
    return t;
}

// A tile: up to TILE vectors from number `from` on.
inline int64_t fill_tile(const AttentionCall& call, const TaskVectors& task, int64_t from, Vector* vectors) {
    const int64_t left = task.num_vectors - from, count = left < TILE ? left : TILE;
    for (int64_t q = 0; q < count; ++q) {
        const int64_t row = task.row(from + q), head = task.head(from + q);
        vectors[q] = {call.queries + row * call.query_stride + head * call.cache->head_dim, call.first[row], call.end[row]};
    }
    return count;
}

template <class P>
inline void attend_one_span(const AttentionCall& call, const AttentionShape& shape, const TaskVectors& task, SpanWork<P>& work) {
    const int64_t H = call.cache->head_dim, span = task.span - shape.first_span;
    Vector vectors[TILE];
    for (int64_t from = 0; from < task.num_vectors; from += TILE) {
        const int64_t count = fill_tile(call, task, from, vectors);
        attend_span(*call.cache, task.kv_head, vectors, count, task.span, work);
        for (int64_t q = 0; q < count; ++q) {
            const int64_t row = task.row(from + q), head = task.head(from + q);
            float* const facts = call.scratch + span_facts_at(call, shape, span, row, head);
            facts[0] = work.facts[q].largest;
            facts[1] = work.facts[q].sum;
            if (facts[1] != 0.0f)
                __builtin_memcpy(call.scratch + span_values_at(call, span, row, head), work.values + q * MAX_HEAD_DIM,
                                 size_t(H) * sizeof(float));
        }
    }
}

// Spans outside, tiles inside: a span's keys and values stay in the cache for all of the task's tiles.
template <class P>
inline void attend_all_spans(const AttentionCall& call, const TaskVectors& task, SpanWork<P>& work) {
    const int64_t H = call.cache->head_dim;
    Running running[VECTORS_PER_TASK];
    int64_t first = call.first[task.first_row], end = 0;
    for (int64_t v = 0; v < task.num_vectors; v += task.num_heads) {
        const int64_t row = task.row(v);
        if (call.first[row] < first) first = call.first[row];
        if (call.end[row] > end) end = call.end[row];
    }
    Vector vectors[TILE];
    for (int64_t span = first / SPAN; span * SPAN < end; ++span)
        for (int64_t from = 0; from < task.num_vectors; from += TILE) {
            const int64_t count = fill_tile(call, task, from, vectors);
            attend_span(*call.cache, task.kv_head, vectors, count, span, work);
            for (int64_t q = 0; q < count; ++q) {
                const SpanFacts& facts = work.facts[q];
                if (facts.sum == 0.0f) continue;
                float* const out = call.out + task.row(from + q) * call.out_stride + task.head(from + q) * H;
                merge_span(running[from + q], out, facts.largest, facts.sum, work.values + q * MAX_HEAD_DIM, H);
            }
        }
    for (int64_t v = 0; v < task.num_vectors; ++v)
        divide(running[v], call.out + task.row(v) * call.out_stride + task.head(v) * H, H);
}

template <class P>
inline void attend_task(const AttentionCall& call, int64_t task) {
    const AttentionShape shape = attention_shape(call);
    const TaskVectors vectors = task_vectors(call, shape, task);
    SpanWork<P> work;
    shape.one_span_each ? attend_one_span<P>(call, shape, vectors, work) : attend_all_spans<P>(call, vectors, work);
}

inline void attend(const AttentionCall& call, int64_t task) {
    switch (call.cache->format) {
        case KvFormat::F32: return attend_task<F32Pairs>(call, task);
        case KvFormat::Q8: return attend_task<Q8Pairs>(call, task);
        case KvFormat::BF16: break;
    }
#if defined(__AVX512F__)
    if (__builtin_cpu_supports("avx512bf16")) return attend_task<Bf16Dot>(call, task);
#endif
    attend_task<Bf16Pairs>(call, task);
}

}  // namespace attention
