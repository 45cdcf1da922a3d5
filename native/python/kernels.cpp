// The matmul of each instruction set on numpy arrays, and what chooses among the sets: for tests and measurements.
// A model runs through the engine, which calls the same table without Python in between.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "../cores.h"
#include "../isa/table.h"
#include "../pool.h"

namespace nb = nanobind;
using namespace gemsmith;

namespace {

template <class T>
using Rows = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void expect(bool holds, const std::string& what) {
    if (!holds) throw nb::value_error(what.c_str());
}

const IsaTable& table_named(const std::string& name) {
    const IsaTable* table = isa_named(name);
    expect(table, "no instruction set '" + name + "' here; isa_names() lists those there are");
    return *table;
}

Format format_named(const std::string& name) {
    constexpr struct { const char* name; Format format; } NAMES[] = {
        {"f32", Format::F32}, {"f16", Format::F16}, {"bf16", Format::BF16},
        {"q8", Format::Q8},   {"q4", Format::Q4},   {"q2", Format::Q2}};
    for (const auto& each : NAMES)
        if (name == each.name) return each.format;
    expect(false, "no matrix format '" + name + "': f32, f16, bf16, q8, q4 or q2");
    return Format::F32;
}

Matrix matrix_of(const std::string& format, const Bytes& packed, int64_t rows, int64_t cols) {
    expect(rows > 0 && cols > 0, "a matrix has rows and columns");
    const Matrix matrix{format_named(format), rows, cols, reinterpret_cast<const std::byte*>(packed.data())};
    const int64_t bytes = matrix.num_blocks() * row_block_bytes(matrix.format, cols);
    expect(static_cast<int64_t>(packed.size()) == bytes,
           std::to_string(rows) + " x " + std::to_string(cols) + " as " + format + " are " + std::to_string(bytes) +
               " bytes, not " + std::to_string(packed.size()));
    return matrix;
}

void multiply(const std::string& isa, const Matrix& matrix, const Activations& x, int64_t begin, int64_t end,
              const Out& out, int64_t num_tokens) {
    const IsaTable& table = table_named(isa);
    expect(0 <= begin && begin <= end && end <= matrix.num_blocks(), "row blocks outside the matrix");
    expect(static_cast<int64_t>(out.shape(0)) == num_tokens &&
               static_cast<int64_t>(out.shape(1)) >= matrix.num_blocks() * BLOCK_ROWS,
           "out needs a row for each token and room for whole blocks of 32 rows");
    float* first = out.data();
    const int64_t stride = static_cast<int64_t>(out.shape(1));
    const nb::gil_scoped_release release;
    table.matmul(matrix, begin, end, x, num_tokens, first, stride);
}

void matmul_quantized(const std::string& isa, const std::string& format, const Bytes& packed, int64_t rows,
                      int64_t cols, const Rows<int8_t>& codes, const Rows<float>& scales, const Rows<int32_t>& sums,
                      int64_t begin, int64_t end, const Out& out) {
    const Matrix matrix = matrix_of(format, packed, rows, cols);
    expect(!is_float(matrix.format), "a float format multiplies floats: matmul_floats");
    const int64_t num_tokens = static_cast<int64_t>(codes.shape(0)), stride = static_cast<int64_t>(codes.shape(1));
    expect(stride % ROW_PADDING == 0 && stride >= padded(cols), "codes are padded to a multiple of 64 columns");
    for (const auto& [tokens, groups] : {std::pair{scales.shape(0), scales.shape(1)}, {sums.shape(0), sums.shape(1)}})
        expect(static_cast<int64_t>(tokens) == num_tokens && static_cast<int64_t>(groups) == stride / GROUP,
               "scales and sums have one value for 32 codes");
    const Quantized rows_of_x{const_cast<int8_t*>(codes.data()), const_cast<float*>(scales.data()),
                              const_cast<int32_t*>(sums.data()), stride};
    multiply(isa, matrix, {nullptr, 0, rows_of_x}, begin, end, out, num_tokens);
}

void matmul_floats(const std::string& isa, const std::string& format, const Bytes& packed, int64_t rows, int64_t cols,
                   const Rows<float>& x, int64_t begin, int64_t end, const Out& out) {
    const Matrix matrix = matrix_of(format, packed, rows, cols);
    expect(is_float(matrix.format), "a low-bit format multiplies 8-bit activations: matmul_quantized");
    expect(static_cast<int64_t>(x.shape(1)) >= cols, "an activation has fewer values than the matrix has columns");
    multiply(isa, matrix, {x.data(), static_cast<int64_t>(x.shape(1)), {}}, begin, end, out,
             static_cast<int64_t>(x.shape(0)));
}

}  // namespace

void bind_kernels(nb::module_& m) {
    m.def("isa", [] { return std::string(isa().name); }, "the chosen instruction set; ValueError for a bad GEMSMITH_ISA");
    m.def("isa_names", [] {
        const std::vector<const char*> names = isa_names();
        return std::vector<std::string>(names.begin(), names.end());
    }, "those this processor runs, best first");
    m.def("default_threads", &default_threads, "cores this process may use: affinity and cgroup quotas");
    m.def("quota_cores", &quota_cores, nb::arg("proc"), nb::arg("groups"),
          "the cgroup quota in whole cores, 0 for none; /proc/self/cgroup and /sys/fs/cgroup, or copies of them");
    m.def("matmul_quantized", &matmul_quantized, nb::arg("isa"), nb::arg("format"), nb::arg("packed"), nb::arg("rows"),
          nb::arg("cols"), nb::arg("codes"), nb::arg("scales"), nb::arg("sums"), nb::arg("begin"), nb::arg("end"),
          nb::arg("out").noconvert(), "row blocks [begin, end) of a q8, q4 or q2 matrix times 8-bit activations, into out");
    m.def("matmul_floats", &matmul_floats, nb::arg("isa"), nb::arg("format"), nb::arg("packed"), nb::arg("rows"),
          nb::arg("cols"), nb::arg("x"), nb::arg("begin"), nb::arg("end"), nb::arg("out").noconvert(),
          "row blocks [begin, end) of an f32, f16 or bf16 matrix times float activations, into out");
}
