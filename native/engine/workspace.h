// The memory that steps work in: float buffers and lanes, as many rows as the largest batch so far.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "program.h"

namespace gemsmith {

// 64-byte aligned, uninitialised, growing only; contents are lost when it grows.
template <typename T>
class Array {
public:
    T* data() const { return data_.get(); }
    void reserve(int64_t n) {
        if (n <= size_) return;
        data_.reset();  // both are not held at once
        size_ = 0;
        data_.reset(static_cast<T*>(std::aligned_alloc(64, size_t(ceil_div(n * int64_t(sizeof(T)), 64) * 64))));
        if (!data_) throw std::bad_alloc();
        size_ = n;
    }
    int64_t nbytes() const { return size_ * int64_t(sizeof(T)); }

private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> data_;
    int64_t size_ = 0;
};

struct Buffer {
    int64_t width = 0;  // a multiple of BLOCK_ROWS: matrices write whole blocks
    Array<float> values;
    void reserve(int64_t rows) { values.reserve(rows * width); }
    float* row(int64_t t) const { return values.data() + t * width; }
};

// Rows made ready for a matrix.
struct Lane {
    int64_t width = 0;  // a multiple of ROW_PADDING
    int32_t forms = 0;  // which forms any step asks for
    Array<float> values;
    Array<int8_t> codes;
    Array<float> scales;
    Array<int32_t> sums;

    void reserve(int64_t rows) {
        if (forms & FLOATS) values.reserve(rows * width);
        if (!(forms & CODES)) return;
        codes.reserve(rows * width);
        scales.reserve(rows * (width / GROUP));
        sums.reserve(rows * (width / GROUP));
    }
    Quantized quantized() const { return {codes.data(), scales.data(), sums.data(), width}; }
    Activations from(int64_t row) const {
        Activations x{values.data(), width, {}};
        if (forms & FLOATS) x.values += row * width;
        if (forms & CODES) x.quantized = quantized().row(row);
        return x;
    }
    // Makes row `to` of this lane equal row `from` of another of the same width.
    void copy_row(int64_t to, const Lane& other, int64_t from) const;
};

}  // namespace gemsmith
