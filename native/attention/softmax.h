// Scores of one query vector over one span, turned into weights for its values.
#pragma once

#include "../rows/functions.h"
#include "pairs.h"

namespace attention {

// What a row makes of one span: its largest score, the sum of exp(score - largest), and what its values' sums are to be
// multiplied by (1, but for Q8).
struct SpanFacts {
    float largest, sum, factor;
};

// The positions of a span that a row sees, and those (whole sixteens) that the tile works on.
struct Seen {
    int64_t first, end, tile_first, tile_end;
    // of the sixteen positions from `at` on
    GEMSMITH_INLINE bool all(int64_t at) const { return first <= at && at + 16 <= end; }
    GEMSMITH_INLINE i32x16 mask(int64_t at) const {
        const i32x16 lane = rows::lane_numbers();
        return (splat(int32_t(first - at - 1)) < lane) & (lane < splat(int32_t(end - at)));
    }
};

// Q8: where the sixteen scales from position `at` of the span stand; keys' are followed by values'.
struct SpanScales {
    const std::byte* of_page[SPAN / PAGE];
    GEMSMITH_INLINE f32x16 keys(int64_t at) const { return rows::load_as<f32x16>(of_page[at / PAGE] + 4 * (at % PAGE)); }
    GEMSMITH_INLINE f32x16 values(int64_t at) const { return rows::load_as<f32x16>(of_page[at / PAGE] + 4 * (PAGE + at % PAGE)); }
};

// Q8: weights times the values' scales as 16-bit integers. `scores` holds the products; returns what a unit is worth.
template <class Weight>
inline float weights_to_integers(const float* products, float largest, const Seen& seen, Weight* weights) {
    const float unit = largest / 32767.0f, per_unit = unit > 0 ? 1.0f / unit : 0.0f;
    for (int64_t at = seen.tile_first; at < seen.tile_end; at += 16)
        Q8Pairs::store_weights(weights + at, rows::rounded(rows::load(products + at) * splat(per_unit)));
    return unit;
}

// `scores`: the tile's sums (Q8: integers, worth `query_scale` times the key's scale each); overwritten.
template <class P>
inline SpanFacts softmax(float* scores, float query_scale, const SpanScales& scales, const Seen& seen, typename P::Weight* weights) {
    constexpr bool IS_Q8 = P::FORMAT == KvFormat::Q8;
    constexpr float NOTHING = -__builtin_inff();
    f32x16 tops = splat(NOTHING), sums = splat(0.0f);
    for (int64_t at = seen.tile_first; at < seen.tile_end; at += 16) {
        f32x16 x = rows::load(scores + at);
        if constexpr (IS_Q8) x = rows::to_float(rows::load_as<i32x16>(scores + at)) * (scales.keys(at) * splat(query_scale));
        if (!seen.all(at)) x = rows::select(seen.mask(at), x, splat(NOTHING));
        if (IS_Q8 || !seen.all(at)) rows::store(scores + at, x);
        tops = rows::larger(x, tops);
    }
    const float largest = rows::largest_of(tops);
    i32x16 most = splat(int32_t(0));  // of non-negative floats, as bits: a NaN stays the largest
    for (int64_t at = seen.tile_first; at < seen.tile_end; at += 16) {
        f32x16 x = rows::exp_negative(rows::load(scores + at) - splat(largest));
        if constexpr (IS_Q8) {
            sums = sums + x;
            x = rows::select(seen.mask(at), x * scales.values(at), splat(0.0f));
            most = rows::larger(rows::bits(x), most);
            rows::store(scores + at, x);
        } else {
            sums = sums + P::store_rounded(weights + at, x);
        }
    }
    SpanFacts facts{largest, rows::sum_of(sums), 1.0f};
    if constexpr (IS_Q8)
        facts.factor = weights_to_integers(scores, __builtin_bit_cast(float, rows::largest_of(most)), seen, weights);
    return facts;
}

}  // namespace attention
