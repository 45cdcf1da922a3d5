// Sixteen floats, or sixteen int32, at a time: as many registers as the instruction set needs for them.
//
// Written once with the vector types of gcc and clang, so that every set adds in the same order and, since nothing here
// fuses a multiplication with an addition, gives the same bits. Included inside the namespace of one instruction set
// (isa/unit.h, which also says why nothing here takes functions of the standard library).
#pragma once

#define GEMSMITH_INLINE [[gnu::always_inline]] inline

namespace rows {

#if defined(__AVX512F__)
constexpr int PART = 16;  // lanes of one register
#elif defined(__AVX__)
constexpr int PART = 8;
#else
constexpr int PART = 4;
#endif
constexpr int PARTS = 16 / PART;

typedef float FloatPart __attribute__((vector_size(4 * PART)));
typedef int32_t IntPart __attribute__((vector_size(4 * PART)));

struct f32x16 {
    FloatPart part[PARTS];
};
struct i32x16 {
    IntPart part[PARTS];
};

// One operation on each part. gcc keeps a struct of parts in registers; a vector wider than the set it keeps in memory.
template <class To, class F>
GEMSMITH_INLINE To each(F f) {
    To out;
#pragma GCC unroll 4
    for (int i = 0; i < PARTS; ++i) out.part[i] = f(i);
    return out;
}

// Integers wrap around, which signed ones must not be relied upon to do.
typedef uint32_t WrapPart __attribute__((vector_size(sizeof(IntPart))));

GEMSMITH_INLINE f32x16 splat(float x) { return each<f32x16>([=](int) { return x - FloatPart{}; }); }
GEMSMITH_INLINE i32x16 splat(int32_t x) { return each<i32x16>([=](int) { return x - IntPart{}; }); }

GEMSMITH_INLINE f32x16 operator+(f32x16 a, f32x16 b) { return each<f32x16>([&](int i) { return a.part[i] + b.part[i]; }); }
GEMSMITH_INLINE f32x16 operator-(f32x16 a, f32x16 b) { return each<f32x16>([&](int i) { return a.part[i] - b.part[i]; }); }
GEMSMITH_INLINE f32x16 operator*(f32x16 a, f32x16 b) { return each<f32x16>([&](int i) { return a.part[i] * b.part[i]; }); }
GEMSMITH_INLINE f32x16 operator/(f32x16 a, f32x16 b) { return each<f32x16>([&](int i) { return a.part[i] / b.part[i]; }); }
GEMSMITH_INLINE i32x16 operator+(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return (IntPart)((WrapPart)a.part[i] + (WrapPart)b.part[i]); }); }
GEMSMITH_INLINE i32x16 operator-(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return (IntPart)((WrapPart)a.part[i] - (WrapPart)b.part[i]); }); }
GEMSMITH_INLINE i32x16 operator*(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return (IntPart)((WrapPart)a.part[i] * (WrapPart)b.part[i]); }); }
GEMSMITH_INLINE i32x16 operator&(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return a.part[i] & b.part[i]; }); }
GEMSMITH_INLINE i32x16 operator|(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return a.part[i] | b.part[i]; }); }
GEMSMITH_INLINE i32x16 operator<<(i32x16 a, int n) { return each<i32x16>([&](int i) { return (IntPart)((WrapPart)a.part[i] << n); }); }
GEMSMITH_INLINE i32x16 operator>>(i32x16 a, int n) { return each<i32x16>([&](int i) { return a.part[i] >> n; }); }

// Comparisons give masks: all bits set in the lanes where they hold.
GEMSMITH_INLINE i32x16 operator<(f32x16 a, f32x16 b) { return each<i32x16>([&](int i) { return (IntPart)(a.part[i] < b.part[i]); }); }
GEMSMITH_INLINE i32x16 operator<(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return (IntPart)(a.part[i] < b.part[i]); }); }

GEMSMITH_INLINE f32x16 select(i32x16 mask, f32x16 a, f32x16 b) {
    return each<f32x16>([&](int i) { return mask.part[i] ? a.part[i] : b.part[i]; });
}
// The larger one; `b` where `a` is not a number.
GEMSMITH_INLINE f32x16 larger(f32x16 a, f32x16 b) { return each<f32x16>([&](int i) { return b.part[i] < a.part[i] ? a.part[i] : b.part[i]; }); }
GEMSMITH_INLINE i32x16 larger(i32x16 a, i32x16 b) { return each<i32x16>([&](int i) { return b.part[i] < a.part[i] ? a.part[i] : b.part[i]; }); }

GEMSMITH_INLINE i32x16 bits(f32x16 a) { return each<i32x16>([&](int i) { return (IntPart)a.part[i]; }); }
GEMSMITH_INLINE f32x16 from_bits(i32x16 a) { return each<f32x16>([&](int i) { return (FloatPart)a.part[i]; }); }
GEMSMITH_INLINE f32x16 absolute(f32x16 a) { return from_bits(bits(a) & splat(int32_t(0x7fffffff))); }
GEMSMITH_INLINE f32x16 to_float(i32x16 a) { return each<f32x16>([&](int i) { return __builtin_convertvector(a.part[i], FloatPart); }); }

// Lane numbers 0 .. 15.
GEMSMITH_INLINE i32x16 lane_numbers() {
    return each<i32x16>([](int i) {
        IntPart out;
        for (int j = 0; j < PART; ++j) out[j] = i * PART + j;
        return out;
    });
}

// Memory may have any alignment and any type. Part by part: gcc would copy a whole struct through the stack.
template <class V>
GEMSMITH_INLINE V load_as(const void* p) {
    V out;
    if constexpr (requires { out.part; }) {
#pragma GCC unroll 4
        for (int i = 0; i < PARTS; ++i)
            __builtin_memcpy(&out.part[i], static_cast<const char*>(p) + i * sizeof out.part[0], sizeof out.part[0]);
    } else {
        __builtin_memcpy(&out, p, sizeof out);
    }
    return out;
}
template <class V>
GEMSMITH_INLINE void store(void* p, V x) {
#pragma GCC unroll 4
    for (int i = 0; i < PARTS; ++i)
        __builtin_memcpy(static_cast<char*>(p) + i * sizeof x.part[0], &x.part[i], sizeof x.part[0]);
}
GEMSMITH_INLINE f32x16 load(const float* p) { return load_as<f32x16>(p); }

// The first `count` of sixteen, `fill` in the other lanes; nothing behind them is read.
GEMSMITH_INLINE f32x16 load_first(const float* p, int64_t count, float fill) {
    float lanes[16];
    for (int64_t i = 0; i < 16; ++i) lanes[i] = i < count ? p[i] : fill;
    return load(lanes);
}
GEMSMITH_INLINE void store_first(float* p, f32x16 x, int64_t count) {
    float lanes[16];
    store(lanes, x);
    for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}

// Whole vectors of n values, then what is left: f(offset, how many), with a constant 16 for all but the last.
struct Sixteen {
    constexpr operator int64_t() const { return 16; }
};
template <class F>
GEMSMITH_INLINE void for_sixteens(int64_t n, F f) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) f(i, Sixteen{});
    if (i < n) f(i, n - i);
}
GEMSMITH_INLINE f32x16 load_some(const float* p, Sixteen, float = 0) { return load(p); }
GEMSMITH_INLINE f32x16 load_some(const float* p, int64_t count, float fill = 0) { return load_first(p, count, fill); }
GEMSMITH_INLINE void store_some(float* p, f32x16 x, Sixteen) { store(p, x); }
GEMSMITH_INLINE void store_some(float* p, f32x16 x, int64_t count) { store_first(p, x, count); }

// All lanes to one, as a tree: lane i with lane i + 8, then + 4, + 2, + 1, in every set.
template <class Part, class F>
GEMSMITH_INLINE auto fold(const Part (&part)[PARTS], F f) {
    Part x = part[0];
    if constexpr (PARTS == 2) x = f(part[0], part[1]);
    if constexpr (PARTS == 4) x = f(f(part[0], part[2]), f(part[1], part[3]));
    if constexpr (PART == 16) x = f(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    if constexpr (PART == 16) x = f(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    if constexpr (PART == 16) x = f(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    if constexpr (PART == 16) x = f(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    if constexpr (PART == 8) x = f(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
    if constexpr (PART == 8) x = f(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
    if constexpr (PART == 8) x = f(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6));
    if constexpr (PART == 4) x = f(x, __builtin_shufflevector(x, x, 2, 3, 0, 1));
    if constexpr (PART == 4) x = f(x, __builtin_shufflevector(x, x, 1, 0, 3, 2));
    return x[0];
}
GEMSMITH_INLINE float sum_of(f32x16 x) { return fold(x.part, [](auto a, auto b) { return a + b; }); }
GEMSMITH_INLINE int32_t sum_of(i32x16 x) { return fold(x.part, [](auto a, auto b) { return a + b; }); }
GEMSMITH_INLINE float largest_of(f32x16 x) { return fold(x.part, [](auto a, auto b) { return b < a ? a : b; }); }
GEMSMITH_INLINE int32_t largest_of(i32x16 x) { return fold(x.part, [](auto a, auto b) { return b < a ? a : b; }); }

// Nearest whole number, halves to even, of |x| < 2^22. As bits: the whole number itself, offset by ROUNDING's.
constexpr float ROUNDING = 12582912.0f;  // 1.5 * 2^23
GEMSMITH_INLINE i32x16 rounded(f32x16 x) { return bits(x + splat(ROUNDING)) - bits(splat(ROUNDING)); }

// The low byte, or the low half, of each lane. gcc 12 takes bytes one by one out of the wider vectors of x86, a hundred
// instructions for sixteen.
typedef int8_t BytePart __attribute__((vector_size(PART)));
typedef int16_t HalfPart __attribute__((vector_size(2 * PART)));
struct i8x16 {
    BytePart part[PARTS];
};
struct i16x16 {
    HalfPart part[PARTS];
};
#if defined(__AVX512F__)
GEMSMITH_INLINE i8x16 to_bytes(i32x16 x) { return {{(BytePart)_mm512_cvtepi32_epi8((__m512i)x.part[0])}}; }
#elif defined(__AVX2__)
GEMSMITH_INLINE i8x16 to_bytes(i32x16 x) {
    const auto low = [](IntPart part) { return (__m256i)(part & 0xff); };
    // packed within halves of 16 bytes: 0-3, 8-11, 4-7, 12-15
    const __m256i halves = _mm256_packus_epi32(low(x.part[0]), low(x.part[1]));
    const __m256i ordered = _mm256_permute4x64_epi64(halves, 0xd8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    i8x16 out;
    __builtin_memcpy(&out, &bytes, sizeof out);
    return out;
}
#else
GEMSMITH_INLINE i8x16 to_bytes(i32x16 x) { return each<i8x16>([&](int i) { return __builtin_convertvector(x.part[i], BytePart); }); }
#endif
GEMSMITH_INLINE i16x16 to_halves(i32x16 x) { return each<i16x16>([&](int i) { return __builtin_convertvector(x.part[i], HalfPart); }); }

}  // namespace rows
