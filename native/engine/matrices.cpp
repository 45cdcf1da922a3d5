// Steps that multiply by matrices, with what follows at once while results are near.
#include <algorithm>

#include "worker.h"

namespace gemsmith {

constexpr int64_t UNIT = 64;        // results are quantised in multiples of it: ROW_PADDING
constexpr int64_t MOST_UNITS = 16;  // of a row's gate and up at once
// Of a matrix for many rows: each piece copies the rows' codes side by side (matmul/tile.h), 2 to 3 % of its work at
// eight blocks, twice that at four.
constexpr int64_t MANY_BLOCKS = 8;

void Worker::matmul(const Step& step) {
    const int64_t rows = num_rows(step);
    if (!rows) return;
    int64_t total = 0;
    for (int i = 0; i < step.num_matrices; ++i) total += step.end_block[i] - step.first_block[i];
    const Activations x = lane(step.in).from(0);
    Buffer& out = buffer(step.out);
    share_matrix(total, 2, MANY_BLOCKS, rows == 1, [&](int64_t begin, int64_t end) {
        int64_t before = 0;
        for (int i = 0; i < step.num_matrices; ++i) {
            const int64_t count = step.end_block[i] - step.first_block[i];
            const int64_t from = std::max<int64_t>(begin - before, 0), to = std::min(end - before, count);
            if (from < to)
                multiply(step.matrices[i], step.first_block[i] + from, step.first_block[i] + to, x, rows,
                         out.row(0) + step.columns[i] + BLOCK_ROWS * from, out.width);
            before += count;
        }
    });
}

// n values of one row into columns from 64 * unit of a lane; a multiple of 64, but at the row's end.
void Worker::put_units(Lane& out, int64_t row, int64_t unit, const float* values, int64_t n, int32_t forms) const {
    const int64_t column = unit * UNIT;
    if (forms & FLOATS) std::copy_n(values, n, out.values.data() + row * out.width + column);
    if (forms & CODES) {
        const Quantized q = out.quantized().row(row);
        k.quantize_row(values, n, {q.codes + column, q.scales + column / GROUP, q.sums + column / GROUP, q.stride});
    }
}

// The same for gelu(gate) * up, where both stand in alternating runs of 32.
void Worker::gate_units(Lane& out, int64_t row, int64_t unit, const float* gate, const float* up, int64_t n,
                        int32_t forms) const {
    alignas(64) float h[MOST_UNITS * UNIT];
    for (int64_t i = 0; i < n; i += BLOCK_ROWS)
        k.gelu_gate(gate + 2 * i, up + 2 * i, std::min(BLOCK_ROWS, n - i), h + i);
    put_units(out, row, unit, h, n, forms);
}

void Worker::gated_up(const Step& step) {
    const Matrix& m = step.matrices[0];
    const int64_t rows = num_rows(step), blocks = m.num_blocks(), units = ceil_div(blocks, 4);
    const int64_t at_once = rows == 1 ? MOST_UNITS : MANY_BLOCKS / 4;
    const Activations x = lane(step.in).from(0);
    share_matrix(units, 1, at_once, rows == 1, [&](int64_t begin, int64_t end) {
        float* y = scratch(rows * at_once * 4 * BLOCK_ROWS);
        for (int64_t u = begin; u < end; u += at_once) {
            const int64_t last = std::min(blocks, 4 * std::min(u + at_once, end)), stride = (last - 4 * u) * BLOCK_ROWS;
            multiply(m, 4 * u, last, x, rows, y, stride);
            for (int64_t t = 0; t < rows; ++t)
                gate_units(lane(step.out), t, u, y + t * stride, y + t * stride + BLOCK_ROWS, stride / 2, step.forms);
        }
    });
}

void Worker::per_layer_gate(const Step& step) {
    const Matrix& m = step.matrices[0];
    const int64_t rows = num_rows(step), P = m.rows, blocks = m.num_blocks();
    const Activations x = lane(step.in).from(0);
    Lane& out = lane(step.out);
    share_matrix(ceil_div(blocks, 2), 1, 1, rows == 1, [&](int64_t begin, int64_t end) {
        const int64_t first = 2 * begin, last = std::min(2 * end, blocks), stride = (last - first) * BLOCK_ROWS;
        float* y = scratch(rows * stride);
        multiply(m, first, last, x, rows, y, stride);
        for (int64_t t = 0; t < rows; ++t) {
            const float* inputs = buffer(int32_t(step.first)).row(t) + step.end;
            for (int64_t u = begin; u < end; ++u) {
                const int64_t c = u * UNIT, n = std::min(UNIT, P - c);
                float* h = y + t * stride + (c - first * BLOCK_ROWS);
                k.gelu_gate(h, inputs + c, n, h);
                put_units(out, t, u, h, n, step.forms);
            }
        }
    });
}

}  // namespace gemsmith
