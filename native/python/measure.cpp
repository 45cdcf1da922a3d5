// Python's way to the measurements of this machine's limits. Both release the GIL.
#include <nanobind/nanobind.h>

#include "../measure/arithmetic.h"
#include "../measure/bandwidth.h"

namespace nb = nanobind;

void bind_measure(nb::module_& m) {
    using namespace nb::literals;
    using Released = nb::call_guard<nb::gil_scoped_release>;
    m.def("read_bytes_per_s", &gemsmith::read_bytes_per_s, "num_threads"_a, "nbytes"_a, "repeats"_a, Released());
    m.def("int8_ops_per_s", &gemsmith::int8_ops_per_s, "num_threads"_a, "seconds"_a, "repeats"_a, Released());
    m.def("int8_instruction", &gemsmith::int8_instruction);
}
