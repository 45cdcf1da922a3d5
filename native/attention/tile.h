// The kernel of attention: weights of up to eight query vectors times a block of keys or values (layout.h), summed over
// its pairs. The same loop makes scores (pairs are dimensions, lanes are positions) and results (pairs are positions,
// lanes are dimensions). A sum's chain runs over the pairs in order, however vectors are tiled.
#pragma once

#include "pairs.h"

namespace attention {

#if defined(__AVX512F__)
constexpr int TILE = 8, HALVES = 2;  // 16 sums, 2 loads and 8 broadcasts for 16 multiply-adds; 32 registers
#else
constexpr int TILE = 4, HALVES = 1;
#endif

// Bytes from a pair to what is fetched to the second-level cache meanwhile: the processor's own prefetching stops at
// every 4 KB, and long contexts come from memory. (8,192 positions, 8 heads of 512, one thread: 7.1 ms for seven layers
// without it, 5.8 with; 1 to 4 KB ahead gained nothing.)
constexpr int64_t AHEAD = 16384;

// Sums of vector q stand at sums + q * sum_stride, 4-byte numbers of the format's kind. They start anew, or go on.
template <class P, int Q, int U>
[[gnu::noinline]] void accumulate_tile(void* sums, int64_t sum_stride, const std::byte* block, const typename P::Weight* weights,
                                       int64_t num_pairs, bool anew) {
    constexpr int64_t HALF = half_bytes(P::FORMAT);
    typename P::Sum acc[Q][U];
    char* const at = static_cast<char*>(sums);
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u)
            acc[q][u] = anew ? typename P::Sum{} : rows::load_as<typename P::Sum>(at + 4 * (q * sum_stride + 16 * u));
    for (int64_t pair = 0; pair < num_pairs; ++pair, block += 2 * HALF, weights += 2) {
        typename P::Lanes x[U];
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u) x[u] = P::load(block + u * HALF);
        for (int i = 0; i < U * HALF; i += 64) __builtin_prefetch(block + AHEAD + i, 0, 2);
#pragma GCC unroll 8
        for (int q = 0; q < Q; ++q) {
            const auto w = P::both(weights + q * WEIGHT_STRIDE);
#pragma GCC unroll 2
            for (int u = 0; u < U; ++u) P::add(acc[q][u], x[u], w);
        }
    }
#pragma GCC unroll 8
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u) rows::store(at + 4 * (q * sum_stride + 16 * u), acc[q][u]);
}

template <class P, int Q>
inline void accumulate_lanes(void* sums, int64_t sum_stride, const std::byte* block, const typename P::Weight* weights,
                             int64_t num_pairs, bool anew) {
    for (int half = 0; half < 2; half += HALVES)
        accumulate_tile<P, Q, HALVES>(static_cast<char*>(sums) + 64 * half, sum_stride, block + half * half_bytes(P::FORMAT),
                                      weights, num_pairs, anew);
}

// A tile has 1, 2, 4 or (AVX-512) 8 vectors; weights of vectors that only fill it up are zeros, and so are their sums.
constexpr int filled(int64_t num_vectors) { return num_vectors <= 2 ? int(num_vectors) : num_vectors <= 4 ? 4 : 8; }

template <class P>
inline void accumulate(int64_t num_vectors, void* sums, int64_t sum_stride, const std::byte* block,
                       const typename P::Weight* weights, int64_t num_pairs, bool anew) {
    switch (filled(num_vectors)) {
        case 1: return accumulate_lanes<P, 1>(sums, sum_stride, block, weights, num_pairs, anew);
        case 2: return accumulate_lanes<P, 2>(sums, sum_stride, block, weights, num_pairs, anew);
        case 4: return accumulate_lanes<P, 4>(sums, sum_stride, block, weights, num_pairs, anew);
        default: return accumulate_lanes<P, TILE>(sums, sum_stride, block, weights, num_pairs, anew);
    }
}

}  // namespace attention
