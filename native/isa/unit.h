// The kernels of one instruction set, compiled where this is included: avx2.cpp and its sisters say which set
// (GEMSMITH_ISA, the namespace; GEMSMITH_LANES, the vectors of the matmul), and the build gives each its flags.
//
// Everything stands inside the set's namespace, so that no function of one set can be taken for another's by the
// linker. For the same reason nothing here may use templates of the standard library: std::min compiled for AVX-512
// could become the one std::min of the whole program.
#include <cstddef>
#include <cstdint>

#include "table.h"

#define GEMSMITH_TEXT_OF(name) #name
#define GEMSMITH_TEXT(name) GEMSMITH_TEXT_OF(name)

namespace gemsmith::GEMSMITH_ISA {

#include "../rows/gate.h"
#include "../rows/norm.h"
#include "../rows/quantize.h"
#include "../rows/reduce.h"
#include "../rows/rope.h"

#include "../attention/attend.h"

namespace tiles {
#include GEMSMITH_LANES
// after the vectors that they are written in
#include "../matmul/tile.h"
#include "../matmul/floats.h"
#include "../matmul/matmul.h"
#include "../matmul/join.h"
}  // namespace tiles

extern const IsaTable table;
const IsaTable table = {
    .name = GEMSMITH_TEXT(GEMSMITH_ISA),
    .matmul = tiles::matmul,
    .join = tiles::join,
    .quantize_row = rows::quantize_row,
    .rms_norm = rows::rms_norm,
    .add_rms_norm = rows::add_rms_norm,
    .rope = rows::rope,
    .gelu_gate = rows::gelu_gate,
    .softcap = rows::softcap,
    .max_and_sum = rows::max_and_sum,
    .append = attention::append,
    .attend = attention::attend,
    .merge = attention::merge,
};

}  // namespace gemsmith::GEMSMITH_ISA
