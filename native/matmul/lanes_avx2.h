// Eight rows at a time with AVX2, FMA and F16C: what tile.h is written in.
// Included inside the namespace of one instruction set, after <immintrin.h>.

constexpr int LANES = 8;
constexpr int FLOAT_TILE = 2;  // tokens whose sums over 32 rows fit in the registers

using Floats = __m256;

inline Floats splat(float x) { return _mm256_set1_ps(x); }
inline Floats load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
inline Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats fused(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

inline Floats load_half(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

template <Format F>
inline Floats load_as_float(const std::byte* p) {
    if constexpr (F == Format::F32) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
    if constexpr (F == Format::F16) return load_half(p);
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

// What `Codes::dot` starts from is -OFFSET times the sum of the activations' codes. Q8 is multiplied with its sign.
template <Format F>
constexpr int32_t OFFSET = F == Format::Q8 ? 0 : F == Format::Q4 ? 8 : 3;

// 8 rows by 32 columns of codes, unpacked to bytes: eight quads.
//
// vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits, saturating. The largest sums, with
// activations of at most 127: Q4 8 * 2 * 15 * 127 = 30480 over all eight quads, Q2 less; Q8 2 * 128 * 127 = 32512 for
// one quad, if its unsigned operand is |q| and the activation takes q's sign. All below 32768: exact.
template <Format F>
struct Codes {
    __m256i quad[8];

    static __m256i at(const std::byte* block, int vector, int unit) {
        const std::byte* p = block + 64 * (2 * vector) + 32 * unit;
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }

    inline void unpack(const std::byte* block, int unit, int group) {
        if constexpr (F == Format::Q8) {
            const __m256i middle = _mm256_set1_epi8(-128);
            for (int i = 0; i < 8; ++i) quad[i] = _mm256_xor_si256(at(block, i, unit), middle);
        } else if constexpr (F == Format::Q4) {
            const __m256i nibble = _mm256_set1_epi8(15);
            for (int i = 0; i < 4; ++i) {
                const __m256i both = at(block, i, unit);
                quad[2 * i] = _mm256_and_si256(both, nibble);
                quad[2 * i + 1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
            }
        } else {
            const __m256i twice = _mm256_set1_epi8(6);  // keeps 2 u, so that the value is 2 u - 3
            for (int i = 0; i < 2; ++i) {
                const __m256i four = at(block, 2 * group + i, unit);
                quad[4 * i] = _mm256_and_si256(_mm256_slli_epi16(four, 1), twice);
                quad[4 * i + 1] = _mm256_and_si256(_mm256_srli_epi16(four, 1), twice);
                quad[4 * i + 2] = _mm256_and_si256(_mm256_srli_epi16(four, 3), twice);
                quad[4 * i + 3] = _mm256_and_si256(_mm256_srli_epi16(four, 5), twice);
            }
        }
    }

    static __m256i four(const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        return _mm256_set1_epi32(four);
    }

    inline Floats dot(const int8_t* x, int32_t start) const {
        const __m256i ones = _mm256_set1_epi16(1);
        __m256i sum = _mm256_set1_epi32(start);
        if constexpr (F == Format::Q8) {
            for (int i = 0; i < 8; ++i) {
                const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quad[i]), _mm256_sign_epi8(four(x + 4 * i), quad[i]));
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
            }
        } else {
            __m256i pairs = _mm256_maddubs_epi16(quad[0], four(x));
            for (int i = 1; i < 8; ++i) pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(quad[i], four(x + 4 * i)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
        }
        return _mm256_cvtepi32_ps(sum);
    }
};
