// Eight rows at a time with NEON and its byte dot product (ARMv8.2, as from the Cortex-A55 and A76): what tile.h is
// written in. Included inside the namespace of one instruction set, after <arm_neon.h>.

constexpr int LANES = 8;
constexpr int FLOAT_TILE = 2;  // tokens whose sums over 32 rows fit in the registers

struct Floats {
    float32x4_t part[2];
};

inline Floats splat(float x) { return {{vdupq_n_f32(x), vdupq_n_f32(x)}}; }
inline Floats load(const float* p) { return {{vld1q_f32(p), vld1q_f32(p + 4)}}; }
inline void store(float* p, Floats x) {
    vst1q_f32(p, x.part[0]);
    vst1q_f32(p + 4, x.part[1]);
}
inline Floats multiply(Floats a, Floats b) {
    return {{vmulq_f32(a.part[0], b.part[0]), vmulq_f32(a.part[1], b.part[1])}};
}
inline Floats fused(Floats a, Floats b, Floats c) {
    return {{vfmaq_f32(c.part[0], a.part[0], b.part[0]), vfmaq_f32(c.part[1], a.part[1], b.part[1])}};
}

inline uint16x8_t load_eight(const std::byte* p) { return vreinterpretq_u16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p))); }

inline Floats load_half(const std::byte* p) {
    const float16x8_t all = vreinterpretq_f16_u16(load_eight(p));
    return {{vcvt_f32_f16(vget_low_f16(all)), vcvt_high_f32_f16(all)}};
}

template <Format F>
inline Floats load_as_float(const std::byte* p) {
    if constexpr (F == Format::F32) return load(reinterpret_cast<const float*>(p));
    if constexpr (F == Format::F16) return load_half(p);
    const uint16x8_t all = load_eight(p);
    return {{vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(all), 16)),
             vreinterpretq_f32_u32(vshlq_n_u32(vmovl_high_u16(all), 16))}};
}

// What `Codes::dot` starts from is -OFFSET times the sum of the activations' codes. Both operands are signed here, so
// Q8 needs none.
template <Format F>
constexpr int32_t OFFSET = F == Format::Q8 ? 0 : F == Format::Q4 ? 8 : 3;

// 8 rows by 32 columns of codes, unpacked to signed bytes: eight quads of two vectors (4 rows by 4 columns each).
template <Format F>
struct Codes {
    int8x16_t quad[8][2];

    static uint8x16_t at(const std::byte* block, int vector, int unit, int part) {
        return vld1q_u8(reinterpret_cast<const uint8_t*>(block) + 128 * vector + 32 * unit + 16 * part);
    }

    inline void unpack(const std::byte* block, int unit, int group) {
        for (int part = 0; part < 2; ++part) {
            if constexpr (F == Format::Q8) {
                const uint8x16_t middle = vdupq_n_u8(128);
                for (int i = 0; i < 8; ++i)
                    quad[i][part] = vreinterpretq_s8_u8(veorq_u8(at(block, i, unit, part), middle));
            } else if constexpr (F == Format::Q4) {
                const uint8x16_t nibble = vdupq_n_u8(15);
                for (int i = 0; i < 4; ++i) {
                    const uint8x16_t both = at(block, i, unit, part);
                    quad[2 * i][part] = vreinterpretq_s8_u8(vandq_u8(both, nibble));
                    quad[2 * i + 1][part] = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
                }
            } else {
                const uint8x16_t twice = vdupq_n_u8(6);  // keeps 2 u, so that the value is 2 u - 3
                for (int i = 0; i < 2; ++i) {
                    const uint8x16_t four = at(block, 2 * group + i, unit, part);
                    quad[4 * i][part] = vreinterpretq_s8_u8(vandq_u8(vshlq_n_u8(four, 1), twice));
                    quad[4 * i + 1][part] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(four, 1), twice));
                    quad[4 * i + 2][part] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(four, 3), twice));
                    quad[4 * i + 3][part] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(four, 5), twice));
                }
            }
        }
    }

    inline Floats dot(const int8_t* x, int32_t start) const {
        Floats result;
        const int8x16_t low = vld1q_s8(x), high = vld1q_s8(x + 16);
        for (int part = 0; part < 2; ++part) {
            int32x4_t sum = vdupq_n_s32(start);
            sum = vdotq_laneq_s32(sum, quad[0][part], low, 0);
            sum = vdotq_laneq_s32(sum, quad[1][part], low, 1);
            sum = vdotq_laneq_s32(sum, quad[2][part], low, 2);
            sum = vdotq_laneq_s32(sum, quad[3][part], low, 3);
            sum = vdotq_laneq_s32(sum, quad[4][part], high, 0);
            sum = vdotq_laneq_s32(sum, quad[5][part], high, 1);
            sum = vdotq_laneq_s32(sum, quad[6][part], high, 2);
            sum = vdotq_laneq_s32(sum, quad[7][part], high, 3);
            result.part[part] = vcvtq_f32_s32(sum);
        }
        return result;
    }
};
