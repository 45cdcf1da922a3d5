// Single rows of packed matrices and tables back to floats: for embeddings, which are looked up and not multiplied.
#pragma once

#include "program.h"

namespace gemsmith {

float half_to_float(uint16_t bits);
float bfloat_to_float(uint16_t bits);

// Row `row` of a packed matrix: [cols] floats.
void unpack_row(const Matrix& matrix, int64_t row, float* out);

// The first `width` values of one row of a table from its bytes.
void unpack_table_row(const RowTable& table, const std::byte* bytes, int64_t width, float* out);

}  // namespace gemsmith
