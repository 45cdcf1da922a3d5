// One layer's attention over one sequence, as a call that many threads share.
//
// A row's result depends on its query and on the positions it sees, and on nothing else: positions are taken in spans
// of SPAN from multiples of SPAN, each span by itself (its largest score, sum and weighted values), and spans are
// merged in order. So neither threads, nor chunks, nor neighbours change a bit.
#pragma once

#include <cstdint>

#include "layout.h"

namespace gemsmith {

constexpr int64_t SPAN = 256;  // positions of one task: 4 pages; keys and values of 512 dimensions in bf16 are 512 KB
constexpr int64_t VECTORS_PER_TASK = 32;  // query vectors that read a span while it is in the processor's cache

struct AttentionCall {
    const LayerCache* cache;
    const float* queries;   // [rows][heads * head_dim], normalised and rotated; scores are not scaled further
    int64_t query_stride;   // floats
    int64_t num_rows, num_heads;
    const int64_t* first;   // of each row: it sees positions first[r] .. end[r] - 1
    const int64_t* end;
    float* out;             // [rows][heads * head_dim]
    int64_t out_stride;
    float* scratch;         // attention_scratch(call) floats, shared by all tasks
};

// `attend` runs tasks 0 .. attention_tasks - 1 in any order and on any thread; after all of them (a barrier)
// `merge` runs tasks 0 .. merge_tasks - 1 (often none: where a task walks all its spans itself).
int64_t attention_tasks(const AttentionCall& call);
int64_t merge_tasks(const AttentionCall& call);
int64_t attention_scratch(const AttentionCall& call);

// How a call is cut into tasks. A task has some rows, and of one K/V head some of the query heads that read it, and
// either walks all spans these rows see (prompts), or takes one span (few rows, long context).
struct AttentionShape {
    int64_t heads_per_kv, heads_per_task, num_groups;  // groups: tasks that share a K/V head
    int64_t rows_per_task, num_row_tiles;
    bool one_span_each;
    int64_t first_span, num_spans;  // of the whole call, where one_span_each; else 0, 1

    int64_t num_tasks(int64_t num_kv_heads) const { return num_row_tiles * num_kv_heads * num_groups * num_spans; }
};
AttentionShape attention_shape(const AttentionCall& call);

// Scratch of a call cut by spans: for each span, row and head the weighted values; behind all of them, in the same
// order, two floats each: largest score and sum (0 where the row sees nothing of the span).
int64_t span_values_at(const AttentionCall& call, int64_t span, int64_t row, int64_t head);
int64_t span_facts_at(const AttentionCall& call, const AttentionShape& shape, int64_t span, int64_t row, int64_t head);

}  // namespace gemsmith
