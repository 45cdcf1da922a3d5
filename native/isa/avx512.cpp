// The kernels for x86-64 with AVX-512 and VNNI (Cascade Lake and Zen 4, from 2019 and 2022); needs no BF16.
#include <immintrin.h>

#define GEMSMITH_ISA avx512
#define GEMSMITH_LANES "../matmul/lanes_avx512.h"
#include "unit.h"
