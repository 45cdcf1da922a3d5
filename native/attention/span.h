// One tile of query vectors over one span of positions: scores, softmax, weighted values.
#pragma once

#include "softmax.h"
#include "tile.h"

namespace attention {

// A query vector of a tile: its query, and the positions it sees.
struct Vector {
    const float* query;
    int64_t first, end;
};

// Queries as the format's weights. Q8: 16-bit integers of a size whose sums over a head stay within 32 bits.
template <class P>
inline float store_query(const float* query, int64_t head_dim, typename P::Weight* to) {
    float scale = 1.0f, factor = 1.0f;
    if constexpr (P::FORMAT == KvFormat::Q8) {
        i32x16 most = splat(int32_t(0));
        rows::for_sixteens(head_dim, [&](int64_t i, auto count) {
            most = rows::larger(rows::bits(rows::absolute(rows::load_some(query + i, count))), most);
        });
        const float largest = __builtin_bit_cast(float, rows::largest_of(most));
        scale = largest / 32767.0f;
        factor = scale > 0 ? 1.0f / scale : 0.0f;
    }
    rows::for_sixteens(head_dim, [&](int64_t i, auto count) {
        const f32x16 x = rows::load_some(query + i, count);
        typename P::Weight sixteen[16];
        if constexpr (P::FORMAT == KvFormat::Q8) P::store_weights(sixteen, rows::rounded(x * splat(factor)));
        else P::store_rounded(sixteen, x);
        __builtin_memcpy(to + i, sixteen, sizeof(typename P::Weight) * size_t(int64_t(count)));
    });
    return scale;
}

template <class P>
struct SpanWork {
    alignas(64) typename P::Weight queries[TILE * WEIGHT_STRIDE];
    alignas(64) typename P::Weight weights[TILE * WEIGHT_STRIDE];
    alignas(64) float scores[TILE * SPAN];
    alignas(64) float values[TILE * MAX_HEAD_DIM];  // results, not yet divided by the sums
    float query_scales[TILE];
    SpanFacts facts[TILE];  // sum 0 where a vector sees nothing of the span
};

// Positions [first, end) of the span that any vector sees.
inline Seen seen_of_span(const Vector* vectors, int64_t num_vectors, int64_t base) {
    Seen all{SPAN, 0, 0, 0};
    for (int64_t q = 0; q < num_vectors; ++q) {
        const int64_t first = vectors[q].first - base, end = vectors[q].end - base;
        if (end <= 0 || first >= SPAN) continue;
        if (first < all.first) all.first = first < 0 ? 0 : first;
        if (end > all.end) all.end = end > SPAN ? SPAN : end;
    }
    all.tile_first = all.first / 16 * 16;
    all.tile_end = (all.end + 15) / 16 * 16;
    return all;
}

// Scores of the tile over whole blocks of 32 positions, where any of them is seen.
template <class P>
inline void score(const LayerCache& cache, int64_t kv_head, int64_t num_vectors, int64_t base, const Seen& seen, SpanWork<P>& work) {
    for (int64_t at = seen.first / BLOCK_LANES * BLOCK_LANES; at < seen.end; at += BLOCK_LANES) {
        const std::byte* const page = cache.head_of_page((base + at) / PAGE, kv_head);
        accumulate<P>(num_vectors, work.scores + at, SPAN,
                      page + at % PAGE / BLOCK_LANES * key_block_bytes(P::FORMAT, cache.head_dim), work.queries, cache.head_dim / 2, true);
    }
}

// The tile's weighted values, a page at a time.
template <class P>
inline void weigh(const LayerCache& cache, int64_t kv_head, int64_t num_vectors, int64_t base, const Seen& seen, SpanWork<P>& work) {
    constexpr int64_t PAIR = pair_bytes(P::FORMAT), VALUE_BLOCK = value_block_bytes(P::FORMAT);
    for (int64_t page_at = seen.first / PAGE * PAGE; page_at < seen.end; page_at += PAGE) {
        const int64_t from = (seen.first > page_at ? seen.first - page_at : 0) / 2;
        const int64_t to = seen.end < page_at + PAGE ? (seen.end - page_at + 1) / 2 : PAGE / 2;
        const std::byte* const values =
            cache.head_of_page((base + page_at) / PAGE, kv_head) + values_offset(P::FORMAT, cache.head_dim) + from * PAIR;
        for (int64_t block = 0; block < num_value_blocks(cache.head_dim); ++block)
            accumulate<P>(num_vectors, work.values + block * BLOCK_LANES, MAX_HEAD_DIM, values + block * VALUE_BLOCK,
                          work.weights + page_at + 2 * from, to - from, page_at <= seen.first);
    }
}

// Results of Q8 are integers until here.
template <class P>
inline void finish(int64_t num_vectors, int64_t head_dim, SpanWork<P>& work) {
    if constexpr (P::FORMAT == KvFormat::Q8)
        for (int64_t q = 0; q < num_vectors; ++q)
            for (int64_t i = 0; i < head_dim; i += 16) {
                float* const at = work.values + q * MAX_HEAD_DIM + i;
                rows::store(at, rows::to_float(rows::load_as<i32x16>(at)) * splat(work.facts[q].factor));
            }
}

template <class P>
inline void attend_span(const LayerCache& cache, int64_t kv_head, const Vector* vectors, int64_t num_vectors, int64_t span,
                        SpanWork<P>& work) {
    const int64_t base = span * SPAN, H = cache.head_dim, num_filled = filled(num_vectors);
    Seen seen = seen_of_span(vectors, num_vectors, base);
    for (int64_t q = 0; q < num_vectors; ++q) work.facts[q] = {0, 0, 0};
    if (seen.end <= seen.first) return;
    for (int64_t q = 0; q < num_vectors; ++q)
        work.query_scales[q] = store_query<P>(vectors[q].query, H, work.queries + q * WEIGHT_STRIDE);
    for (int64_t q = num_vectors; q < num_filled; ++q)
        __builtin_memset(work.queries + q * WEIGHT_STRIDE, 0, sizeof(typename P::Weight) * size_t(H));
    score(cache, kv_head, num_vectors, base, seen, work);
    const Seen all = seen;
    SpanScales scales{};
    if constexpr (P::FORMAT == KvFormat::Q8)
        for (int64_t at = seen.first / PAGE * PAGE; at < seen.end; at += PAGE)
            scales.of_page[at / PAGE] = cache.head_of_page((base + at) / PAGE, kv_head) + scales_offset(P::FORMAT, H);
    for (int64_t q = 0; q < num_filled; ++q) {
        typename P::Weight* const weights = work.weights + q * WEIGHT_STRIDE;
        seen.first = q < num_vectors ? vectors[q].first - base : SPAN;
        seen.end = q < num_vectors ? vectors[q].end - base : 0;
        if (seen.end > 0 && seen.first < SPAN)
            work.facts[q] = softmax<P>(work.scores + q * SPAN, work.query_scales[q], scales, seen, weights);
        else
            __builtin_memset(weights + all.tile_first, 0, sizeof(typename P::Weight) * size_t(all.tile_end - all.tile_first));
    }
    weigh(cache, kv_head, num_vectors, base, all, work);
    finish(num_vectors, H, work);
}

}  // namespace attention
