// Float32 matrices to the packed bytes of types.h, and tables to rows of GGUF's blocks: the twin of gemsmith/quant.
#pragma once

#include "../types.h"

namespace gemsmith::quant {

enum class RowFormat : int32_t { Q4_0, Q8_0 };

// Bytes of one row of a table.
constexpr int64_t row_bytes(RowFormat f, int64_t cols) { return ceil_div(cols, 32) * (f == RowFormat::Q4_0 ? 18 : 34); }

// `format` is Q8, Q4 or Q2; row blocks [begin, end) of the matrix go to their places in `out`. Values are finite.
void pack_blocks(const float* values, int64_t rows, int64_t cols, Format format, int64_t begin, int64_t end,
                 uint8_t* out);

// Rows [begin, end) of a table go to their places in `out`.
void pack_rows(const float* values, int64_t cols, RowFormat format, int64_t begin, int64_t end, uint8_t* out);

}  // namespace gemsmith::quant
