// The kernels for any processor: plain C++, no flags beyond the platform's own.
#define GEMSMITH_ISA portable
#define GEMSMITH_LANES "../matmul/lanes_portable.h"
#include "unit.h"
