// The row functions of every instruction set on numpy arrays, for tests: each takes the set's name first.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "../isa/table.h"
#include "arrays.h"

namespace nb = nanobind;

namespace gemsmith {

namespace {

using Row = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void same_length(const char* what, int64_t length, int64_t wanted) {
    if (length != wanted)
        throw std::invalid_argument(std::string(what) + " has " + std::to_string(length) + " values; " + std::to_string(wanted) +
                                    " are wanted");
}

nb::tuple quantize_row(const std::string& isa, Row x) {
    const int64_t n = int64_t(x.shape(0)), stride = padded(n);
    NewArray<int8_t> codes({stride});
    NewArray<float> scales({stride / GROUP});
    NewArray<int32_t> sums({stride / GROUP});
    kernels_of(isa).quantize_row(x.data(), n, {codes.data, scales.data, sums.data, stride});
    return nb::make_tuple(codes.to_numpy(), scales.to_numpy(), sums.to_numpy());
}

nb::object rms_norm(const std::string& isa, Row x, std::optional<Row> weight, float eps) {
    const int64_t n = int64_t(x.shape(0));
    if (weight) same_length("the weight", int64_t(weight->shape(0)), n);
    NewArray<float> out({n});
    kernels_of(isa).rms_norm(x.data(), weight ? weight->data() : nullptr, eps, n, out.data);
    return out.to_numpy();
}

nb::object add_rms_norm(const std::string& isa, Row residual, Row y, std::optional<Row> weight, float eps) {
    const int64_t n = int64_t(y.shape(0));
    same_length("the residual", int64_t(residual.shape(0)), n);
    if (weight) same_length("the weight", int64_t(weight->shape(0)), n);
    NewArray<float> out({n}, residual.data());
    kernels_of(isa).add_rms_norm(out.data, y.data(), weight ? weight->data() : nullptr, eps, n);
    return out.to_numpy();
}

nb::object rope(const std::string& isa, Row head, Row cosines, Row sines) {
    const int64_t n = int64_t(head.shape(0)), pairs = int64_t(cosines.shape(0));
    same_length("the sines", int64_t(sines.shape(0)), pairs);
    if (n % 2 || 2 * pairs > n) throw std::invalid_argument("a head of an even number of values turns at most half as many pairs");
    NewArray<float> out({n}, head.data());
    kernels_of(isa).rope(out.data, cosines.data(), sines.data(), pairs, n / 2);
    return out.to_numpy();
}

nb::object gelu_gate(const std::string& isa, Row gate, Row up) {
    const int64_t n = int64_t(gate.shape(0));
    same_length("up", int64_t(up.shape(0)), n);
    NewArray<float> out({n});
    kernels_of(isa).gelu_gate(gate.data(), up.data(), n, out.data);
    return out.to_numpy();
}

nb::object softcap(const std::string& isa, Row x, float cap) {
    const int64_t n = int64_t(x.shape(0));
    NewArray<float> out({n}, x.data());
    kernels_of(isa).softcap(out.data, n, cap);
    return out.to_numpy();
}

nb::tuple max_and_sum(const std::string& isa, Row x) {
    float largest, sum;
    kernels_of(isa).max_and_sum(x.data(), int64_t(x.shape(0)), &largest, &sum);
    return nb::make_tuple(largest, sum);
}

}  // namespace

}  // namespace gemsmith

void bind_rows(nb::module_& m) {
    using namespace gemsmith;
    using namespace nb::literals;
    m.def("quantize_row", &quantize_row, "isa"_a, "x"_a, "8-bit codes, a scale and the codes' sum per 32 values.");
    m.def("rms_norm", &rms_norm, "isa"_a, "x"_a, "weight"_a.none(), "eps"_a);
    m.def("add_rms_norm", &add_rms_norm, "isa"_a, "residual"_a, "y"_a, "weight"_a.none(), "eps"_a);
    m.def("rope", &rope, "isa"_a, "head"_a, "cosines"_a, "sines"_a);
    m.def("gelu_gate", &gelu_gate, "isa"_a, "gate"_a, "up"_a);
    m.def("softcap", &softcap, "isa"_a, "x"_a, "cap"_a);
    m.def("max_and_sum", &max_and_sum, "isa"_a, "x"_a, "The largest value, and the sum of exp(x - largest).");
}
