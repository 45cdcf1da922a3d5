// What a kernel does with one pair of a block (layout.h), per format: sixteen lanes, each with two neighbours that are
// multiplied by two weights and added to the lane's sum, the second neighbour first.
//
// BF16: queries and softmax weights are rounded to bfloat16 too. A product of two bfloat16 is exact in float32, so the
// processor's own instruction (vdpbf16ps: two multiply-adds, each rounded, the second neighbour's first; checked on
// Zen 4) and plain float arithmetic give the same bits, but for subnormal numbers, which vdpbf16ps takes as zeros.
// Q8: queries and weights become 16-bit integers, and sums are exact integers: order does not matter.
// F32: multiplications and additions are rounded separately, so that all sets agree.
#pragma once

#include "../rows/vector.h"

namespace attention {

using rows::f32x16;
using rows::i32x16;
using rows::splat;

// Weights of one query vector stand this far from the next one's: a head of queries, or a span of positions.
constexpr int64_t WEIGHT_STRIDE = MAX_HEAD_DIM;
static_assert(SPAN <= WEIGHT_STRIDE);

GEMSMITH_INLINE f32x16 round_to_bf16(f32x16 x) {  // nearest, halves to even
    const i32x16 u = rows::bits(x), is_odd = (u >> 16) & splat(int32_t(1));
    const f32x16 rounded = rows::from_bits((u + splat(int32_t(0x7fff)) + is_odd) & splat(int32_t(0xffff0000)));
    return rows::select(rows::bits(splat(__builtin_inff())) < (u & splat(int32_t(0x7fffffff))), x, rounded);
}

// One pair of sixteen lanes as floats.
struct FloatPair {
    f32x16 even, odd;
};

// What formats with float weights share.
struct FloatWeights {
    using Weight = float;
    using Sum = f32x16;
    struct Both {
        f32x16 even, odd;
    };
    GEMSMITH_INLINE static Both both(const Weight* w) { return {splat(w[0]), splat(w[1])}; }
    GEMSMITH_INLINE static void add(Sum& sum, const FloatPair& x, const Both& w) {
        sum = sum + x.odd * w.odd;
        sum = sum + x.even * w.even;
    }
};

struct F32Pairs : FloatWeights {
    static constexpr KvFormat FORMAT = KvFormat::F32;
    using Lanes = FloatPair;
    GEMSMITH_INLINE static Lanes load(const std::byte* p) {
        return {rows::load_as<f32x16>(p), rows::load_as<f32x16>(p + 64)};
    }
    // Stores what the format makes of x, and returns that.
    GEMSMITH_INLINE static f32x16 store_rounded(Weight* to, f32x16 x) {
        rows::store(to, x);
        return x;
    }
};

struct Bf16Pairs : FloatWeights {
    static constexpr KvFormat FORMAT = KvFormat::BF16;
    using Lanes = FloatPair;
    GEMSMITH_INLINE static Lanes load(const std::byte* p) {
        const i32x16 both = rows::load_as<i32x16>(p);
        return {rows::from_bits(both << 16), rows::from_bits(both & splat(int32_t(0xffff0000)))};
    }
    GEMSMITH_INLINE static f32x16 store_rounded(Weight* to, f32x16 x) {
        x = round_to_bf16(x);
        rows::store(to, x);
        return x;
    }
// Products are exact here: fused or not, the bits are the same. On AArch64 the portable unit has no intrinsics.
#if defined(__FMA__) || defined(__ARM_FEATURE_DOTPROD)
    GEMSMITH_INLINE static void add(Sum& sum, const FloatPair& x, const Both& w) {
#if defined(__AVX512F__)
        sum.part[0] = _mm512_fmadd_ps(x.odd.part[0], w.odd.part[0], sum.part[0]);
        sum.part[0] = _mm512_fmadd_ps(x.even.part[0], w.even.part[0], sum.part[0]);
#elif defined(__FMA__)
        for (int i = 0; i < rows::PARTS; ++i) sum.part[i] = _mm256_fmadd_ps(x.odd.part[i], w.odd.part[i], sum.part[i]);
        for (int i = 0; i < rows::PARTS; ++i) sum.part[i] = _mm256_fmadd_ps(x.even.part[i], w.even.part[i], sum.part[i]);
#else
        for (int i = 0; i < rows::PARTS; ++i) sum.part[i] = vfmaq_f32(sum.part[i], x.odd.part[i], w.odd.part[i]);
        for (int i = 0; i < rows::PARTS; ++i) sum.part[i] = vfmaq_f32(sum.part[i], x.even.part[i], w.even.part[i]);
#endif
    }
#endif
};

#if defined(__AVX512F__)
// With the processor's bfloat16 instruction, which the unit is not compiled for: `attend` asks whether it is there.
struct Bf16Dot {
    static constexpr KvFormat FORMAT = KvFormat::BF16;
    using Weight = uint16_t;
    using Sum = f32x16;
    using Lanes = i32x16;
    using Both = i32x16;
    GEMSMITH_INLINE static Lanes load(const std::byte* p) { return rows::load_as<i32x16>(p); }
    GEMSMITH_INLINE static Both both(const Weight* w) { return splat(rows::load_as<int32_t>(w)); }
    GEMSMITH_INLINE static void add(Sum& sum, const Lanes& x, const Both& w) {
        asm("vdpbf16ps %2, %1, %0" : "+v"(sum.part[0]) : "v"(x.part[0]), "v"(w.part[0]));
    }
    GEMSMITH_INLINE static f32x16 store_rounded(Weight* to, f32x16 x) {
        rows::HalfPart halves;
        asm("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(x.part[0]));  // nearest, halves to even, as above
        __builtin_memcpy(to, &halves, sizeof halves);
        return {{(rows::FloatPart)(__builtin_convertvector(halves, rows::IntPart) << 16)}};
    }
};
#endif

struct Q8Pairs {
    static constexpr KvFormat FORMAT = KvFormat::Q8;
    using Sum = i32x16;
#if defined(__AVX512VNNI__) || defined(__AVX2__)
    using Weight = int16_t;
    using Both = i32x16;
    using Lanes = i32x16;  // two int16 each
    GEMSMITH_INLINE static Both both(const Weight* w) { return splat(rows::load_as<int32_t>(w)); }
    GEMSMITH_INLINE static void store_weights(Weight* to, i32x16 x) { rows::store(to, rows::to_halves(x)); }
#if defined(__AVX512VNNI__)
    GEMSMITH_INLINE static Lanes load(const std::byte* p) {
        return {{(rows::IntPart)_mm512_cvtepi8_epi16(rows::load_as<__m256i>(p))}};
    }
    GEMSMITH_INLINE static void add(Sum& sum, const Lanes& x, const Both& w) {
        sum.part[0] = (rows::IntPart)_mm512_dpwssd_epi32((__m512i)sum.part[0], (__m512i)x.part[0], (__m512i)w.part[0]);
    }
#else
    GEMSMITH_INLINE static Lanes load(const std::byte* p) {
        return {{(rows::IntPart)_mm256_cvtepi8_epi16(rows::load_as<__m128i>(p)),
                 (rows::IntPart)_mm256_cvtepi8_epi16(rows::load_as<__m128i>(p + 16))}};
    }
    GEMSMITH_INLINE static void add(Sum& sum, const Lanes& x, const Both& w) {
        for (int i = 0; i < 2; ++i) sum.part[i] += (rows::IntPart)_mm256_madd_epi16((__m256i)x.part[i], (__m256i)w.part[i]);
    }
#endif
#else
    using Weight = int32_t;
    struct Both {
        i32x16 even, odd;
    };
    using Lanes = Both;
    GEMSMITH_INLINE static Lanes load(const std::byte* p) {
        // sign extension of either byte of sixteen little-endian halves
        typedef int16_t Halves __attribute__((vector_size(2 * rows::PART)));
        Lanes out;
        for (int i = 0; i < rows::PARTS; ++i) {
            const rows::IntPart wide = __builtin_convertvector(rows::load_as<Halves>(p + 2 * rows::PART * i), rows::IntPart);
            out.even.part[i] = (wide << 24) >> 24;
            out.odd.part[i] = wide >> 8;
        }
        return out;
    }
    GEMSMITH_INLINE static Both both(const Weight* w) { return {splat(w[0]), splat(w[1])}; }
    GEMSMITH_INLINE static void add(Sum& sum, const Lanes& x, const Both& w) { sum = sum + x.even * w.even + x.odd * w.odd; }
    GEMSMITH_INLINE static void store_weights(Weight* to, i32x16 x) { rows::store(to, x); }
#endif
};

}  // namespace attention
