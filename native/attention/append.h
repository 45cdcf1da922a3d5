// One position's key and value of one head, written into the cache. Threads may write neighbouring positions at the same
// time, which share cache lines but no bytes: so every write here is of this position's own bytes alone.
#pragma once

#include "../rows/vector.h"

namespace attention {

GEMSMITH_INLINE uint16_t to_bf16(float x) {  // nearest, halves to even; a NaN stays one
    const uint32_t u = __builtin_bit_cast(uint32_t, x);
    if ((u & 0x7fffffff) > 0x7f800000) return uint16_t(u >> 16 | 0x40);
    return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// 8-bit codes of one head's key or value; the scale is NaN where a value is not finite.
inline float quantize_head(const float* x, int64_t n, int8_t (&codes)[MAX_HEAD_DIM]) {
    rows::i32x16 tops = rows::splat(int32_t(0));
    rows::for_sixteens(n, [&](int64_t i, auto count) {
        tops = rows::larger(rows::bits(rows::absolute(rows::load_some(x + i, count))), tops);
    });
    const int32_t top = rows::largest_of(tops);
    const float largest = __builtin_bit_cast(float, top), factor = 127.0f / largest;
    const bool is_finite = top < 0x7f800000, is_zero = !(factor < __builtin_inff());
    if (!is_finite || is_zero) {
        __builtin_memset(codes, 0, sizeof codes);
        return is_finite ? 0.0f : __builtin_nanf("");
    }
    rows::for_sixteens(n, [&](int64_t i, auto count) {
        int8_t sixteen[16];
        rows::store(sixteen, rows::to_bytes(rows::rounded(rows::load_some(x + i, count) * rows::splat(factor))));
        __builtin_memcpy(codes + i, sixteen, size_t(int64_t(count)));
    });
    return largest / 127.0f;
}

// The parts of a half of a pair: where lane `lane`'s value `which` (0 or 1) stands.
template <KvFormat F>
constexpr int64_t value_in_half(int64_t lane, int64_t which) {
    if constexpr (F == KvFormat::F32) return which * 64 + lane * 4;
    if constexpr (F == KvFormat::BF16) return lane * 4 + which * 2;
    return lane * 2 + which;
}

// `key` is one column of lanes of its block, two dimensions a pair; `value` is one of each pair's two, in every lane.
template <KvFormat F, class T>
inline void scatter(const T* key, const T* value, int64_t head_dim, int64_t in_page, std::byte* head) {
    constexpr int64_t PAIR = pair_bytes(F), HALF = half_bytes(F);
    const int64_t lane = in_page % BLOCK_LANES;
    std::byte* at = head + in_page / BLOCK_LANES * key_block_bytes(F, head_dim) + lane / 16 * HALF;
    for (int64_t i = 0; i < head_dim; i += 2, at += PAIR) {
        __builtin_memcpy(at + value_in_half<F>(lane % 16, 0), key + i, sizeof(T));
        __builtin_memcpy(at + value_in_half<F>(lane % 16, 1), key + i + 1, sizeof(T));
    }
    at = head + values_offset(F, head_dim) + in_page / 2 * PAIR;
    for (int64_t i = 0; i < head_dim; ++i) {
        std::byte* const half = at + i / BLOCK_LANES * value_block_bytes(F) + i % BLOCK_LANES / 16 * HALF;
        __builtin_memcpy(half + value_in_half<F>(i % 16, in_page % 2), value + i, sizeof(T));
    }
}

inline void append(LayerCache& cache, int64_t position, int64_t head, const float* key, const float* value) {
    const int64_t H = cache.head_dim, in_page = position % PAGE;
    std::byte* const at = cache.head_of_page(position / PAGE, head);
    if (cache.format == KvFormat::F32) return scatter<KvFormat::F32>(key, value, H, in_page, at);
    if (cache.format == KvFormat::BF16) {
        uint16_t keys[MAX_HEAD_DIM], values[MAX_HEAD_DIM];
        for (int64_t i = 0; i < H; ++i) keys[i] = to_bf16(key[i]), values[i] = to_bf16(value[i]);
        return scatter<KvFormat::BF16>(keys, values, H, in_page, at);
    }
    int8_t keys[MAX_HEAD_DIM], values[MAX_HEAD_DIM];
    const float scales[2] = {quantize_head(key, H, keys), quantize_head(value, H, values)};
    scatter<KvFormat::Q8>(keys, values, H, in_page, at);
    std::byte* const scales_at = at + scales_offset(KvFormat::Q8, H);
    __builtin_memcpy(scales_at + 4 * in_page, &scales[0], 4);
    __builtin_memcpy(scales_at + 4 * (PAGE + in_page), &scales[1], 4);
}

}  // namespace attention
