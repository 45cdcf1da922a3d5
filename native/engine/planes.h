// A head in two planes: the upper halves of its 8-bit codes as a matrix of 4 bits, then the lower halves.
//
// Drawing a token needs the likeliest few of the vocabulary. The upper plane alone says of nearly all rows that they are
// not among them (likeliest.cpp), which halves the bytes that a token reads of its largest matrix.
#pragma once

#include "../types.h"

namespace gemsmith {

class Planes {
public:
    explicit Planes(const Matrix& head)  // whose format is Q8Planes
        : upper{Format::Q4, head.rows, head.cols, head.data},
          lower_(head.data + head.num_blocks() * row_block_bytes(Format::Q4, head.cols)),
          groups_(ceil_div(head.cols, GROUP)),
          digits_(lower_ + head.num_blocks() * groups_ * BLOCK_ROWS * GROUP / 2) {}

    const Matrix upper;  // with the codes' own scales: sixteen times too small for its codes

    int64_t block_bytes() const { return row_block_bytes(Format::Q8, upper.cols); }
    // 32 rows, wherever they stand, as one row block of a Q8 matrix of `block_bytes()`.
    void join(const int64_t* rows, std::byte* block) const;
    // The same of one row block as it stands, many times sooner.
    void join_block(int64_t row_block, std::byte* block) const;

    // Of a row: its largest scale, and that times what is known of its lower nibbles: how far their mean is from 7.5, and
    // their standard deviation.
    struct Digits {
        float scale, lean, spread;
    };
    void digits(int64_t row_block, Digits* out) const;
    // One row as floats: [cols].
    void unpack(int64_t row, float* out) const;

private:
    // Group g of a row. Of pair p (eight columns), four bytes stand at 128 * p of both planes: the nibbles of columns
    // 8 * p + i and, above them, 8 * p + 4 + i.
    struct Group {
        const std::byte *upper, *lower, *scale;
    };
    Group group(int64_t row, int64_t g) const;

    const std::byte* lower_;
    int64_t groups_;
    const std::byte* digits_;
};

}  // namespace gemsmith
