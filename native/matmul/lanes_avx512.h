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
