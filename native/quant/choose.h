// Codes and scales of four groups at once, one group a lane: the twin of gemsmith/quant/choose.py.
//
// The numpy version is the definition and says what is searched and why. Operations and their order are the same here,
// so that both give equal bytes; the build must neither contract to fused multiply-adds nor reassociate. Written with
// the compilers' vector types of 16 bytes, which the smallest machines have: packing is done once, and one unit serves
// all (GCC 12 takes selects of longer vectors apart, number by number).
#pragma once

#include <cmath>
#include <cstdint>

namespace gemsmith::quant {

constexpr int LANES = 4;
constexpr int MAX_GROUP = 64;
constexpr int NUM_REFINEMENTS = 2;
constexpr float LARGEST_FLOAT16 = 65504.0f;

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
#define GEMSMITH_INLINE inline __attribute__((always_inline))

struct Groups {
    Floats x[MAX_GROUP];      // [position][group]
    Floats level[MAX_GROUP];  // the best so far
    Floats tried[MAX_GROUP];
    Floats error;             // of the best
    Ints half;                // the best scale, as the bits of a float16
};

GEMSMITH_INLINE Floats all(float v) { return Floats{} + v; }
GEMSMITH_INLINE Floats size_of(Floats v) { return (Floats)((Ints)v & 0x7FFFFFFF); }
GEMSMITH_INLINE Floats clipped(Floats v, float low, float high) {
    v = v > low ? v : all(low);
    return v < high ? v : all(high);
}
// To nearest even for |v| < 2^22: the sum has no bits left below one.
GEMSMITH_INLINE Floats round_even(Floats v) { return (v + 12582912.0f) - 12582912.0f; }

// The bits of float16, to nearest even; |v| is at most LARGEST_FLOAT16. A zero has no sign.
GEMSMITH_INLINE Ints to_half(Floats v) {
    const Ints bits = (Ints)v, magnitude = bits & 0x7FFFFFFF, sign = (bits >> 16) & 0x8000;
    // normal: the exponent's bias goes from 127 to 15, and 13 bits of mantissa are cut
    const Ints rebased = magnitude - 0x38000000;
    const Ints normal = (rebased + 0xFFF + ((rebased >> 13) & 1)) >> 13;
    // subnormal, in units of 2^-24: adding 1/2 leaves them, rounded, in the lowest bits of the sum
    const Ints subnormal = (Ints)((Floats)magnitude + 0.5f) - 0x3F000000;
    const Ints half = magnitude >= 0x38800000 ? normal : subnormal;
    return half == 0 ? half : half | sign;
}

GEMSMITH_INLINE Floats to_float(Ints half) {
    const Ints magnitude = half & 0x7FFF, sign = (half & 0x8000) << 16;
    const Floats normal = (Floats)((magnitude << 13) + 0x38000000);
    const Floats subnormal = __builtin_convertvector(magnitude, Floats) * 0x1p-24f;
    return (Floats)((Ints)(magnitude >= 0x400 ? normal : subnormal) | sign);
}

GEMSMITH_INLINE Floats quotient(Floats above, Floats below) {  // 0 where below is
    return below == 0.0f ? Floats{} : above / (below == 0.0f ? all(1.0f) : below);
}

struct Q8 {
    static constexpr int GROUP = 32;
    static constexpr int STEP = 1, OFFSET = 128;
    static GEMSMITH_INLINE Floats level(Floats x, Floats inverse) {
        return round_even(clipped(x * inverse, -127.0f, 127.0f));
    }
};

struct Q4 {
    static constexpr int GROUP = 32;
    static constexpr int STEP = 1, OFFSET = 8;
    static constexpr float CANDIDATES[] = {-8.0f, -7.5f, -8.5f, -9.0f, 7.0f, 7.5f, 8.0f, 8.5f};
    static GEMSMITH_INLINE Floats level(Floats x, Floats inverse) {
        return round_even(clipped(x * inverse, -8.0f, 7.0f));
    }
    static GEMSMITH_INLINE Floats candidate(Floats largest, float place) { return largest / place; }
};

struct Q2 {
    static constexpr int GROUP = 64;
    static constexpr int STEP = 2, OFFSET = 3;
    static constexpr float CANDIDATES[] = {0.40f, 0.47f, 0.54f, 0.61f, 0.70f};
    static GEMSMITH_INLINE Floats level(Floats x, Floats inverse) {  // -3, -1, 1 or 3: cut at -2, 0 and 2 scales
        const Floats v = x * (inverse * 0.5f), two = all(2.0f);
        return (v >= -1.0f ? two : Floats{}) + (v >= 0.0f ? two : Floats{}) + (v >= 1.0f ? two : Floats{}) - 3.0f;
    }
    static GEMSMITH_INLINE Floats candidate(Floats size, float multiple) { return size * multiple; }
};

// The groups' largest numbers, the first on a tie, with their signs.
template <typename Q>
Floats largest_of(const Groups& g) {
    Floats largest = g.x[0];
    for (int p = 1; p < Q::GROUP; ++p) largest = size_of(g.x[p]) > size_of(largest) ? g.x[p] : largest;
    return largest;
}

template <typename Q>
Floats root_mean_square(const Groups& g) {
    Floats sum = g.x[0] * g.x[0];
    for (int p = 1; p < Q::GROUP; ++p) sum += g.x[p] * g.x[p];
    sum /= float(Q::GROUP);
    for (int i = 0; i < LANES; ++i) sum[i] = std::sqrt(sum[i]);
    return sum;
}

// The scale that fits the best levels so far best.
template <typename Q>
Floats least_squares(const Groups& g) {
    Floats above = g.x[0] * g.level[0], below = g.level[0] * g.level[0];
    for (int p = 1; p < Q::GROUP; ++p) {
        above += g.x[p] * g.level[p];
        below += g.level[p] * g.level[p];
    }
    return quotient(above, below);
}

// Take `asked` where it leaves less error than what there is (`first`: whatever it leaves).
template <typename Q>
void attempt(Groups& g, Floats asked, bool first) {
    const Ints half = to_half(clipped(asked, -LARGEST_FLOAT16, LARGEST_FLOAT16));
    const Floats scale = to_float(half), inverse = quotient(all(1.0f), scale);
    Floats error{};
    for (int p = 0; p < Q::GROUP; ++p) {
        const Floats level = Q::level(g.x[p], inverse), left = g.x[p] - level * scale;
        g.tried[p] = level;
        error += left * left;
    }
    const Ints better = first ? ~Ints{} : error < g.error;
    g.error = better ? error : g.error;
    g.half = better ? half : g.half;
    for (int p = 0; p < Q::GROUP; ++p) g.level[p] = better ? g.tried[p] : g.level[p];
}

// Fills g.level and g.half for g.x.
template <typename Q>
void choose(Groups& g) {
    const Floats size = Q::STEP == 2 ? root_mean_square<Q>(g) : largest_of<Q>(g);
    bool first = true;
    for (const float candidate : Q::CANDIDATES) {
        attempt<Q>(g, Q::candidate(size, candidate), first);
        first = false;
    }
    for (int i = 0; i < NUM_REFINEMENTS; ++i) attempt<Q>(g, least_squares<Q>(g), false);
}

// 255 steps: the largest number at either end, and no search.
template <>
inline void choose<Q8>(Groups& g) {
    const Floats most = size_of(largest_of<Q8>(g));
    g.half = to_half(most / 127.0f);
    g.half = most > 127.5f * to_float(g.half) ? g.half + 1 : g.half;  // a tiny scale, rounded down by half of itself
    const Floats inverse = quotient(all(1.0f), to_float(g.half));
    for (int p = 0; p < Q8::GROUP; ++p) g.level[p] = Q8::level(g.x[p], inverse);
}

#undef GEMSMITH_INLINE

}  // namespace gemsmith::quant
