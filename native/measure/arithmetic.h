// How many products of 8-bit integers this machine's cores can sum: the limit of reading a prompt.
#pragma once

namespace gemsmith {

// Operations a second (a multiply-add is two) that `num_threads` threads reach together in loops of the widest 8-bit
// dot product this processor has, on registers alone: the best of `repeats` loops, of which each takes `seconds`.
double int8_ops_per_s(int num_threads, double seconds, int repeats);

// The instruction of that loop: avx512-vnni, avx2, neon-dotprod or portable.
const char* int8_instruction();

}  // namespace gemsmith
