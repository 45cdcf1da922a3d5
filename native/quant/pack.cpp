// Four groups are quantised together: for a matrix the same columns of four rows; for a table four groups of one row.
#include "pack.h"

#include <algorithm>

#include "choose.h"

namespace gemsmith::quant {

namespace {

constexpr int HALF = 16;  // rows of a vector

template <typename Q>
struct Codes {
    uint8_t code[HALF][Q::GROUP];
    uint8_t scale[HALF][2];  // float16, little-endian

    // Take over what was chosen for up to four groups, from `first` on.
    void take(const Groups& g, int first, int count) {
        for (int p = 0; p < Q::GROUP; ++p) {
            const Ints u = (__builtin_convertvector(g.level[p], Ints) + Q::OFFSET) / Q::STEP;
            for (int i = 0; i < count; ++i) code[first + i][p] = uint8_t(u[i]);
        }
        for (int i = 0; i < count; ++i) {
            scale[first + i][0] = uint8_t(g.half[i]);
            scale[first + i][1] = uint8_t(g.half[i] >> 8);
        }
    }
};

// The same group of columns of sixteen rows; what is missing is zero.
template <typename Q>
void quantise_rows(const float* values, int64_t num_rows, int64_t num_cols, int64_t stride, Codes<Q>& codes) {
    Groups g;
    for (int first = 0; first < HALF; first += LANES) {
        const int64_t rows = std::clamp<int64_t>(num_rows - first, 0, LANES);
        if (rows < LANES || num_cols < Q::GROUP)
            for (int p = 0; p < Q::GROUP; ++p) g.x[p] = Floats{};
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t p = 0; p < num_cols; ++p) g.x[p][row] = values[(first + row) * stride + p];
        choose<Q>(g);
        codes.take(g, first, LANES);
    }
}

// One half of a block: 16 rows. `out` is the block, `half` 0 or 1. Several quads share a byte where codes are small.
template <typename Q, int BITS>
void write_half(const Codes<Q>& codes, int half, uint8_t* out) {
    constexpr int PER_BYTE = 8 / BITS, VECTORS = Q::GROUP / (4 * PER_BYTE);
    for (int v = 0; v < VECTORS; ++v)
        for (int row = 0; row < HALF; ++row)
            for (int c = 0; c < 4; ++c) {
                uint8_t byte = 0;
                for (int t = 0; t < PER_BYTE; ++t)
                    byte |= uint8_t(codes.code[row][4 * (PER_BYTE * v + t) + c] << (BITS * t));
                out[64 * (2 * v + half) + 4 * row + c] = byte;
            }
    std::copy_n(&codes.scale[0][0], 2 * HALF, out + 64 * 2 * VECTORS + 2 * HALF * half);
}

template <typename Q, int BITS>
void pack_blocks_as(const float* values, int64_t rows, int64_t cols, int64_t begin, int64_t end, uint8_t* out) {
    constexpr int64_t BLOCK_BYTES = BLOCK_ROWS * Q::GROUP * BITS / 8 + 2 * BLOCK_ROWS;
    const int64_t groups = ceil_div(cols, Q::GROUP);
    Codes<Q> codes;
    for (int64_t block = begin; block < end; ++block)
        for (int64_t group = 0; group < groups; ++group)
            for (int half = 0; half < 2; ++half) {
                const int64_t row = std::min(rows, block * BLOCK_ROWS + half * HALF), col = group * Q::GROUP;
                quantise_rows<Q>(values + row * cols + col, rows - row, std::min<int64_t>(Q::GROUP, cols - col), cols, codes);
                write_half<Q, BITS>(codes, half, out + (block * groups + group) * BLOCK_BYTES);
            }
}

// GGUF: value i of a block in the low nibble of byte i, value i + 16 in the high one; or signed bytes.
template <typename Q, int BLOCK_BYTES>
void write_block(const Codes<Q>& codes, int i, uint8_t* out) {
    const uint8_t* u = codes.code[i];
    out[0] = codes.scale[i][0];
    out[1] = codes.scale[i][1];
    if constexpr (BLOCK_BYTES == 18)
        for (int p = 0; p < 16; ++p) out[2 + p] = uint8_t(u[p] | u[p + 16] << 4);
    else
        for (int p = 0; p < 32; ++p) out[2 + p] = u[p] ^ 0x80;
}

template <typename Q, int BLOCK_BYTES>
void pack_rows_as(const float* values, int64_t cols, int64_t begin, int64_t end, uint8_t* out) {
    const int64_t groups = ceil_div(cols, Q::GROUP);
    Codes<Q> codes;
    Groups g;
    for (int64_t row = begin; row < end; ++row)
        for (int64_t group = 0; group < groups; group += LANES) {
            const float* from = values + row * cols + group * Q::GROUP;
            const int64_t count = std::min<int64_t>(LANES * Q::GROUP, cols - group * Q::GROUP);
            if (count < LANES * Q::GROUP)
                for (int p = 0; p < Q::GROUP; ++p) g.x[p] = Floats{};
            for (int64_t i = 0; i < count; ++i) g.x[i % Q::GROUP][i / Q::GROUP] = from[i];
            choose<Q>(g);
            codes.take(g, 0, LANES);
            for (int i = 0; i < std::min<int64_t>(LANES, groups - group); ++i)
                write_block<Q, BLOCK_BYTES>(codes, i, out + (row * groups + group + i) * BLOCK_BYTES);
        }
}

}  // namespace

void pack_blocks(const float* values, int64_t rows, int64_t cols, Format format, int64_t begin, int64_t end, uint8_t* out) {
    switch (format) {
        case Format::Q8: return pack_blocks_as<Q8, 8>(values, rows, cols, begin, end, out);
        case Format::Q4: return pack_blocks_as<Q4, 4>(values, rows, cols, begin, end, out);
        case Format::Q2: return pack_blocks_as<Q2, 2>(values, rows, cols, begin, end, out);
        default: return;  // floats are laid out by numpy
    }
}

void pack_rows(const float* values, int64_t cols, RowFormat format, int64_t begin, int64_t end, uint8_t* out) {
    if (format == RowFormat::Q4_0)
        pack_rows_as<Q4, 18>(values, cols, begin, end, out);
    else
        pack_rows_as<Q8, 34>(values, cols, begin, end, out);
}

}  // namespace gemsmith::quant
