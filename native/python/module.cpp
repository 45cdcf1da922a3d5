// The extension module gemsmith.kernels._native: one line for each part that Python may call.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_attention(nb::module_& m);
void bind_engine(nb::module_& m);
void bind_kernels(nb::module_& m);
void bind_measure(nb::module_& m);
void bind_quant(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_tokenizer(nb::module_& m);

NB_MODULE(_native, m) {
    m.doc() = "gemsmith's engine for processors, in C++";
    bind_attention(m);
    bind_engine(m);
    bind_kernels(m);
    bind_measure(m);
    bind_quant(m);
    bind_rows(m);
    bind_tokenizer(m);
}
