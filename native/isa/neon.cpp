// The kernels for AArch64 with the byte dot product and float16 (ARMv8.2; Cortex-A76, Apple M1).
#include <arm_neon.h>

#define GEMSMITH_ISA neon
#define GEMSMITH_LANES "../matmul/lanes_neon.h"
#include "unit.h"
