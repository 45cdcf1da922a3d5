// Attention with AVX-512's dot product of bfloat16, which gives the bits that avx512.cpp's gives without it
// (attention/pairs.h). Part of the set `avx512` where the processor has it: Zen 4, Cooper Lake, Sapphire Rapids.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "table.h"

namespace gemsmith::avx512_bf16 {

#include "../attention/attend.h"

void take_attention(IsaTable& table) {
    table.append = attention::append;
    table.attend = attention::attend;
    table.merge = attention::merge;
}

}  // namespace gemsmith::avx512_bf16
