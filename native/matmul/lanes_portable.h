// Sixteen rows at a time in plain C++ with the vector types of GCC and Clang: what tile.h is written in. Runs on every
// processor and gives the bits that the other sets give.
// Included inside the namespace of one instruction set.

// Out of line: what other sets do in one instruction is a page here, and tile.h repeats it up to sixteen times.
#define GEMSMITH_OUT_OF_LINE __attribute__((noinline))

constexpr int LANES = 16;
constexpr int FLOAT_TILE = 2;  // tokens whose sums over 32 rows fit in the registers

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t HalfWords __attribute__((vector_size(32)));
typedef double Doubles __attribute__((vector_size(128)));
typedef int64_t Longs __attribute__((vector_size(128)));

template <class To, class From>
inline To bits_as(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

inline Floats splat(float x) { return Floats{} + x; }
inline Floats load(const float* p) {
    Floats x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
}
inline void store(float* p, Floats x) { __builtin_memcpy(p, &x, sizeof x); }
inline Floats multiply(Floats a, Floats b) { return a * b; }

// a * b + c, rounded once. The product is exact as a double. Their sum is rounded to odd: where it is inexact, the last
// bit is set, so that rounding again, to float, cannot go wrong (Boldo and Melquiond, "Emulation of a FMA and correctly
// rounded sums: proved algorithms using rounding to odd", 2008).
GEMSMITH_OUT_OF_LINE static Floats fused(Floats a, Floats b, Floats c) {
#ifdef __FMA__
    Floats r;
    for (int i = 0; i < LANES; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
#else
    const Doubles product = __builtin_convertvector(a, Doubles) * __builtin_convertvector(b, Doubles);
    const Doubles addend = __builtin_convertvector(c, Doubles);
    const Doubles sum = product + addend;
    const Doubles back = sum - product;
    const Doubles error = (product - (sum - back)) + (addend - back);  // exact, by Knuth's two-sum
    const Longs bits = bits_as<Longs>(sum);
    // towards the error by one unit if the sum is even; NaN or infinity has a NaN as error, and stays
    const Longs inexact = ((error > 0) | (error < 0)) & ((bits & 1) == 0);
    const Longs away = ((error > 0) == (sum > 0));  // -1 where the true sum is larger in magnitude
    const Longs odd = bits + (inexact & (1 + 2 * ~away));
    return __builtin_convertvector(bits_as<Doubles>(odd), Floats);
#endif
}

inline Words load_words(const std::byte* p) {
    HalfWords halves;
    __builtin_memcpy(&halves, p, sizeof halves);
    return __builtin_convertvector(halves, Words);
}

// float16: the exponent is moved by a multiplication with 2^112, which makes subnormal ones right too.
GEMSMITH_OUT_OF_LINE static Floats load_half(const std::byte* p) {
    const Words h = load_words(p);
    const Floats moved = bits_as<Floats>((h & 0x7fffu) << 13) * 0x1p112f;
    const Words special = bits_as<Words>((h & 0x7c00u) == 0x7c00u) & 0x7f800000u;
    return bits_as<Floats>(bits_as<Words>(moved) | special | ((h & 0x8000u) << 16));
}

template <Format F>
inline Floats load_as_float(const std::byte* p) {
    if constexpr (F == Format::F32) return load(reinterpret_cast<const float*>(p));
    if constexpr (F == Format::F16) return load_half(p);
    return bits_as<Floats>(load_words(p) << 16);
}

// What `Codes::dot` starts from is -OFFSET times the sum of the activations' codes. Others than Q4 are unpacked signed.
template <Format F>
constexpr int32_t OFFSET = F == Format::Q4 ? 8 : 0;

// 16 rows by 32 columns of codes, column by column.
template <Format F>
struct Codes {
    int16_t value[32][LANES];

    GEMSMITH_OUT_OF_LINE void unpack(const std::byte* block, int unit, int group) {
        const uint8_t* bytes = reinterpret_cast<const uint8_t*>(block) + 64 * unit;
        for (int column = 0; column < 32; ++column) {
            const int quad = column / 4, within = column % 4;
            for (int row = 0; row < LANES; ++row) {
                const int i = 4 * row + within;
                if constexpr (F == Format::Q8)
                    value[column][row] = static_cast<int16_t>(bytes[128 * quad + i] - 128);
                else if constexpr (F == Format::Q4)
                    value[column][row] = static_cast<int16_t>((bytes[128 * (quad / 2) + i] >> 4 * (quad % 2)) & 15);
                else
                    value[column][row] = static_cast<int16_t>(
                        2 * ((bytes[128 * (2 * group + quad / 4) + i] >> 2 * (quad % 4)) & 3) - 3);
            }
        }
    }

    GEMSMITH_OUT_OF_LINE Floats dot(const int8_t* x, int32_t start) const {
        int32_t sum[LANES];
        for (int row = 0; row < LANES; ++row) sum[row] = start;
        for (int column = 0; column < 32; ++column)
            for (int row = 0; row < LANES; ++row) sum[row] += value[column][row] * x[column];
        Floats result;
        for (int row = 0; row < LANES; ++row) result[row] = static_cast<float>(sum[row]);
        return result;
    }
};
