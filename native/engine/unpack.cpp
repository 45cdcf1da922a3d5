#include "unpack.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "planes.h"

namespace gemsmith {

float half_to_float(uint16_t bits) {
    uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | (fraction << 13));
    if (exponent == 0) {  // subnormal: a multiple of 2^-24
        float value = float(fraction) * 0x1p-24f;
        return sign ? -value : value;
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

float bfloat_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

namespace {

uint16_t load16(const std::byte* at) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return bits;
}

float load_float(const std::byte* at) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
}

// Byte of a row's quad `column / 4` in a vector of 16 rows by 4 columns.
int64_t in_vector(int64_t row, int64_t column) { return 4 * (row % 16) + column % 4; }

void unpack_codes(const Matrix& m, const std::byte* block, int64_t r, int64_t columns, int64_t width, float* out) {
    const int64_t codes = width == 32 && m.format == Format::Q8 ? 1024 : 512, half = r / 16;
    const float scale = half_to_float(load16(block + codes + 2 * r));
    for (int64_t c = 0; c < columns; ++c) {
        const int64_t quad = c / 4;
        if (m.format == Format::Q8) {
            out[c] = float(int(block[64 * (2 * quad + half) + in_vector(r, c)]) - 128) * scale;
        } else if (m.format == Format::Q4) {
            int byte = int(block[64 * (2 * (quad / 2) + half) + in_vector(r, c)]);
            out[c] = float((quad % 2 ? byte >> 4 : byte & 15) - 8) * scale;
        } else {
            int byte = int(block[64 * (2 * (quad / 4) + half) + in_vector(r, c)]);
            out[c] = float(2 * ((byte >> (2 * (quad % 4))) & 3) - 3) * scale;
        }
    }
}

// A super-block of ggml's Q6_K, 256 values in 210 bytes: two halves of 128 with low nibbles and the two bits above them,
// a signed scale for each 16 values, a float16 for all. gemsmith/quant/q6_k.py says it in full.
void unpack_q6_k(const std::byte* block, float* out) {
    const float d = half_to_float(load16(block + 208));
    for (int group = 0; group < 16; ++group, out += 16) {
        const int half = group / 8, g = group % 8;
        const std::byte *low = block + 64 * half + 16 * (g % 4), *high = block + 128 + 32 * half + 16 * (g % 2);
        const int above = 4 * (g / 4), pair = 2 * (g / 2);
        const float scale = d * float(int8_t(block[192 + group]));
        for (int i = 0; i < 16; ++i)
            out[i] = scale * float(((int(low[i]) >> above & 15) | (int(high[i]) >> pair & 3) << 4) - 32);
    }
}

}  // namespace

void unpack_row(const Matrix& m, int64_t row, float* out) {
    if (m.format == Format::Q8Planes) return Planes(m).unpack(row, out);
    const std::byte* at = m.data + (row / BLOCK_ROWS) * row_block_bytes(m.format, m.cols);
    const int64_t r = row % BLOCK_ROWS;
    if (is_float(m.format)) {
        const int64_t size = m.format == Format::F32 ? 4 : 2;
        for (int64_t c = 0; c < m.cols; ++c) {
            const std::byte* value = at + size * (c * BLOCK_ROWS + r);
            out[c] = m.format == Format::F32   ? load_float(value)
                     : m.format == Format::F16 ? half_to_float(load16(value))
                                               : bfloat_to_float(load16(value));
        }
        return;
    }
    const int64_t width = m.format == Format::Q2 ? 64 : 32, bytes = row_block_bytes(m.format, width);
    for (int64_t c = 0; c < m.cols; c += width, at += bytes)
        unpack_codes(m, at, r, std::min(width, m.cols - c), width, out + c);
}

void unpack_table_row(const RowTable& table, const std::byte* bytes, int64_t width, float* out) {
    using Kind = RowTable::Kind;
    switch (table.kind) {
        case Kind::F32: std::memcpy(out, bytes, size_t(width) * sizeof(float)); return;
        case Kind::F16:
            for (int64_t i = 0; i < width; ++i) out[i] = half_to_float(load16(bytes + 2 * i));
            return;
        case Kind::BF16:
            for (int64_t i = 0; i < width; ++i) out[i] = bfloat_to_float(load16(bytes + 2 * i));
            return;
        case Kind::Q8_0:
            for (int64_t at = 0; at < width; at += 32, bytes += 34) {
                const float scale = half_to_float(load16(bytes));
                for (int64_t i = 0; i < std::min<int64_t>(32, width - at); ++i) out[at + i] = float(int8_t(bytes[2 + i])) * scale;
            }
            return;
        case Kind::Q4_0:  // low nibbles are values 0-15 of a block, high ones 16-31
            for (int64_t at = 0; at < width; at += 32, bytes += 18) {
                const float scale = half_to_float(load16(bytes));
                float values[32];
                for (int i = 0; i < 16; ++i) {
                    values[i] = float(int(bytes[2 + i] & std::byte{15}) - 8) * scale;
                    values[16 + i] = float(int(bytes[2 + i] >> 4) - 8) * scale;
                }
                std::copy_n(values, std::min<int64_t>(32, width - at), out + at);
            }
            return;
        case Kind::Q6_K:
            for (int64_t at = 0; at < width; at += 256, bytes += 210) {
                float values[256];
                unpack_q6_k(bytes, values);
                std::copy_n(values, std::min<int64_t>(256, width - at), out + at);
            }
            return;
    }
}

}  // namespace gemsmith
