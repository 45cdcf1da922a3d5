// The kernels of one instruction set, as a table. Each table is filled by one translation unit, compiled for its set:
// portable.cpp, avx2.cpp, avx512.cpp, neon.cpp. Every unit includes the same headers inside its own namespace; only
// matmul/ and parts of attention/ have hand-written versions. All functions are single-threaded and pure.
#pragma once

#include <string_view>
#include <vector>

#include "../attention/call.h"
#include "../types.h"

namespace gemsmith {

struct IsaTable {
    const char* name;  // as GEMSMITH_ISA spells it: portable, avx2, avx512, neon

    // rows [32 * begin, 32 * end) of `matrix` times each of `num_tokens` activations; row r of token t goes to out[t * stride + r].
    // All 32 rows of every block are written, padding included. Each result is one chain over the groups g = 0, 1, ...:
    // acc = fma(float(exact integer dot of group g), weight scale * activation scale, acc), starting from 0, whatever
    // num_tokens is; float formats: acc = fma(weight, value, acc) over the columns.
    void (*matmul)(const Matrix& matrix, int64_t begin, int64_t end, const Activations& x, int64_t num_tokens,
                   float* out, int64_t stride);

    // a block of Q8 from its halves in both planes of a head
    void (*join)(const std::byte* upper, const std::byte* lower, std::byte* block);

    // 8-bit codes with a scale per 32: scale = max|x| / 127, code = round to nearest even of x * (127 / max|x|);
    // zeros up to the padded length.
    void (*quantize_row)(const float* x, int64_t n, Quantized row);

    // out = x / sqrt(mean(x^2) + eps) * weight; weight may be null (all ones). May run in place.
    void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
    // residual += rms_norm(y, weight)
    void (*add_rms_norm)(float* residual, const float* y, const float* weight, float eps, int64_t n);
    // turns pairs (i, i + half), i < num_pairs, of one head in place
    void (*rope)(float* head, const float* cosines, const float* sines, int64_t num_pairs, int64_t half);
    // out = gelu_tanh(gate) * up; may run in place
    void (*gelu_gate)(const float* gate, const float* up, int64_t n, float* out);
    // x = cap * tanh(x / cap)
    void (*softcap)(float* x, int64_t n, float cap);
    // largest of x, and sum of exp(x - largest), both in an order that depends on n alone
    void (*max_and_sum)(const float* x, int64_t n, float* largest, float* sum);

    // attention/call.h says what these do
    void (*append)(LayerCache& cache, int64_t position, int64_t head, const float* key, const float* value);
    void (*attend)(const AttentionCall& call, int64_t task);
    void (*merge)(const AttentionCall& call, int64_t task);
};

const IsaTable& isa();                            // the best one this processor runs, or GEMSMITH_ISA's; chosen once
const IsaTable* isa_named(std::string_view name);  // null where it is not compiled in or not supported here
std::vector<const char*> isa_names();             // those supported here, best first

}  // namespace gemsmith
