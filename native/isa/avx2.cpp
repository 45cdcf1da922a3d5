// The kernels for x86-64 with AVX2, FMA and F16C (Haswell and Zen, from 2013 and 2017).
#include <immintrin.h>

#define GEMSMITH_ISA avx2
#define GEMSMITH_LANES "../matmul/lanes_avx2.h"
#include "unit.h"
