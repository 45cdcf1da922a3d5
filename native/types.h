// What kernels are given: packed matrices, activations, quantised rows. Plain views that own nothing.
//
// A packed matrix stands in blocks of 32 rows by 32 (2 bits: 64) columns, row blocks one after the other, the blocks of
// a row block in column order, so that one thread reads one linear stream. Rows and columns are padded with zeros.
// `gemsmith.quant` defines the bytes in numpy and is the oracle; this is the summary.
//
//   Q8   1024 bytes of codes u = q + 128, then 32 float16 scales            value = (u - 128) * scale
//   Q4    512 bytes of codes u in 0..15,  then 32 float16 scales            value = (u - 8) * scale
//   Q2    512 bytes of codes u in 0..3 (64 columns), then 32 float16 scales value = (2 u - 3) * scale
//   F32, F16, BF16: [column][32 rows], columns not padded
//   Q8Planes, for a head alone: codes of Q8, their upper nibbles as all the blocks of a Q4 matrix; behind it their lower
//        ones as the same blocks without scales; last, of each row (padding included), two floats: how far the mean of
//        its lower nibbles is from 7.5, and their standard deviation
//
// Codes of a block stand as an x86 dot product of bytes wants them: 64-byte vectors of 16 rows by 4 columns ("a quad"),
// byte 4 * (row % 16) + column % 4, half = row / 16.
//   Q8  vector (quad, half) at 64 * (2 * quad + half), quad 0..7
//   Q4  vector (pair, half) at 64 * (2 * pair + half), pair 0..3: low nibble quad 2 * pair, high nibble quad 2 * pair + 1
//   Q2  vector (four, half) at 64 * (2 * four + half), four 0..3: bits 2t, 2t + 1 are quad 4 * four + t
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemsmith {

enum class Format : int32_t { F32, F16, BF16, Q8, Q4, Q2, Q8Planes };

constexpr int64_t BLOCK_ROWS = 32;
constexpr int64_t GROUP = 32;         // activations that share a scale
constexpr int64_t ROW_PADDING = 64;   // quantised rows are padded to a multiple of this with zero codes and scales

constexpr bool is_float(Format f) { return f == Format::F32 || f == Format::F16 || f == Format::BF16; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t padded(int64_t n) { return ceil_div(n, ROW_PADDING) * ROW_PADDING; }

// Bytes of 32 rows by `cols` columns.
constexpr int64_t row_block_bytes(Format f, int64_t cols) {
    switch (f) {
        case Format::F32: return 32 * 4 * cols;
        case Format::F16:
        case Format::BF16: return 32 * 2 * cols;
        case Format::Q8Planes: return (1024 + 64) * ceil_div(cols, 32) + 2 * 4 * BLOCK_ROWS;
        case Format::Q8: return (1024 + 64) * ceil_div(cols, 32);
        case Format::Q4: return (512 + 64) * ceil_div(cols, 32);
        case Format::Q2: return (512 + 64) * ceil_div(cols, 64);
    }
    return 0;
}

struct Matrix {
    Format format;
    int64_t rows, cols;
    const std::byte* data;
    int64_t num_blocks() const { return ceil_div(rows, BLOCK_ROWS); }
};

// Rows of 8-bit activations: value = codes * scales[column / 32], sums = the codes' sum of each group, which Q4 subtracts
// eight times (likeliest.cpp gives it less) and other formats as often as they like.
// Row t stands at codes + t * stride and at scales / sums + t * stride / 32; stride is a multiple of ROW_PADDING.
struct Quantized {
    int8_t* codes;
    float* scales;
    int32_t* sums;
    int64_t stride;
    Quantized row(int64_t t) const {
        return {codes + t * stride, scales + t * (stride / GROUP), sums + t * (stride / GROUP), stride};
    }
};

// What a matrix multiplies: float formats read `values`, the others `quantized`; the other of the two may be empty.
struct Activations {
    const float* values;
    int64_t stride;  // of values, in floats
    Quantized quantized;
};

}  // namespace gemsmith
