// Sixteen rows at a time with AVX-512 and its byte dot product (VNNI): what tile.h is written in.
// Included inside the namespace of one instruction set, after <immintrin.h>.

constexpr int LANES = 16;
constexpr int FLOAT_TILE = 8;  // tokens whose sums over 32 rows fit in the registers

using Floats = __m512;

inline Floats splat(float x) { return _mm512_set1_ps(x); }
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats fused(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

inline Floats load_half(const std::byte* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

template <Format F>
inline Floats load_as_float(const std::byte* p) {
    if constexpr (F == Format::F32) return _mm512_loadu_ps(p);
    if constexpr (F == Format::F16) return load_half(p);
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

// What `Codes::dot` starts from is -OFFSET times the sum of the activations' codes.
template <Format F>
constexpr int32_t OFFSET = F == Format::Q8 ? 128 : F == Format::Q4 ? 8 : 3;

// 16 rows by 32 columns of codes, unpacked to unsigned bytes: eight quads.
template <Format F>
struct Codes {
    __m512i quad[8];

    static __m512i at(const std::byte* block, int vector, int unit) {
        return _mm512_loadu_si512(block + 64 * (2 * vector + unit));
    }

    // `group`: which 32 columns of the block (a block of Q2 has two of them).
    inline void unpack(const std::byte* block, int unit, int group) {
        if constexpr (F == Format::Q8) {
            for (int i = 0; i < 8; ++i) quad[i] = at(block, i, unit);
        } else if constexpr (F == Format::Q4) {
            const __m512i nibble = _mm512_set1_epi8(15);
            for (int i = 0; i < 4; ++i) {
                const __m512i both = at(block, i, unit);
                quad[2 * i] = _mm512_and_si512(both, nibble);
                quad[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            }
        } else {
            const __m512i twice = _mm512_set1_epi8(6);  // keeps 2 u, so that the value is 2 u - 3
            for (int i = 0; i < 2; ++i) {
                const __m512i four = at(block, 2 * group + i, unit);
                quad[4 * i] = _mm512_and_si512(_mm512_slli_epi16(four, 1), twice);
                quad[4 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(four, 1), twice);
                quad[4 * i + 2] = _mm512_and_si512(_mm512_srli_epi16(four, 3), twice);
                quad[4 * i + 3] = _mm512_and_si512(_mm512_srli_epi16(four, 5), twice);
            }
        }
    }

    // The exact dot product of each row with 32 activations, as a float.
    inline Floats dot(const int8_t* x, int32_t start) const {
        __m512i sum = _mm512_set1_epi32(start);
        for (int i = 0; i < 8; ++i) {
            int32_t four;
            __builtin_memcpy(&four, x + 4 * i, 4);
            sum = _mm512_dpbusd_epi32(sum, quad[i], _mm512_set1_epi32(four));
        }
        return _mm512_cvtepi32_ps(sum);
    }
};

// One token: the dot products of all 32 rows of a block with 32 activations, as floats. Here bytes decide, and a core has
// as many of them under way as its window of instructions spans: so there are as few instructions as it takes, and
// lines are read in their order. Codes are masked, not shifted; a product of codes that stand b bits higher is 2^b
// times too large, all of them, until the one shift behind the sum. (Zen 4, share of plain reading, one thread: Q4 104 %,
// Q8 94 %; with `Codes`, 69 and 73 %, and 91 and 82 % with lines fetched ahead by hand.)
#define GEMSMITH_WHOLE_BLOCKS
template <Format F>
inline void whole_block(const std::byte* block, int group, const int8_t* x, int32_t start, Floats (&dots)[2]) {
    constexpr int PARTS = F == Format::Q8 ? 1 : F == Format::Q4 ? 2 : 4;  // quads in a vector
    constexpr int BITS = 8 / PARTS, CHAINS = F == Format::Q8 ? 2 : PARTS;
    __m512i sums[CHAINS][2];
#pragma GCC unroll 4
    for (int c = 0; c < CHAINS; ++c) sums[c][0] = sums[c][1] = _mm512_setzero_si512();
    if constexpr (F != Format::Q2) sums[0][0] = sums[0][1] = _mm512_set1_epi32(start);
#pragma GCC unroll 8
    for (int i = 0; i < 8 / PARTS; ++i) {
        const std::byte* vectors = block + 128 * (group * (8 / PARTS) + i);
        const __m512i codes[2] = {_mm512_loadu_si512(vectors), _mm512_loadu_si512(vectors + 64)};
#pragma GCC unroll 4
        for (int part = 0; part < PARTS; ++part) {
            const int quad = i * PARTS + part, chain = F == Format::Q8 ? i % 2 : part;
            int32_t four;
            __builtin_memcpy(&four, x + 4 * quad, 4);
            const __m512i activations = _mm512_set1_epi32(four);
            const __m512i mask = _mm512_set1_epi8(int8_t(((1 << BITS) - 1) << (BITS * part)));
#pragma GCC unroll 2
            for (int u = 0; u < 2; ++u) {
                const __m512i code = F == Format::Q8 ? codes[u] : _mm512_and_si512(codes[u], mask);
                sums[chain][u] = _mm512_dpbusd_epi32(sums[chain][u], code, activations);
            }
        }
    }
#pragma GCC unroll 2
    for (int u = 0; u < 2; ++u) {
        __m512i sum = sums[0][u];
#pragma GCC unroll 4
        for (int c = 1; c < CHAINS; ++c)
            sum = _mm512_add_epi32(sum, F == Format::Q8 ? sums[c][u] : _mm512_srai_epi32(sums[c][u], BITS * c));
        if constexpr (F == Format::Q2) sum = _mm512_add_epi32(_mm512_slli_epi32(sum, 1), _mm512_set1_epi32(start));
        dots[u] = _mm512_cvtepi32_ps(sum);
    }
}
