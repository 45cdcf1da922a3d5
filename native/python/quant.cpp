// Packing for Python: float32 matrices in, bytes out, on so many threads.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../quant/pack.h"

namespace nb = nanobind;

namespace gemsmith {

namespace {

using Values = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<nb::numpy, uint8_t>;

// Runs work(begin, end), which does not throw, over shares of 0 … count. This thread does those that no thread starts for.
template <typename Work>
void in_shares(int64_t count, int threads, const Work& work) {
    const int64_t shares = std::min<int64_t>(threads < 1 ? 1 : threads, count);
    std::vector<std::thread> others;
    int64_t next = 1;
    try {
        for (; next < shares; ++next)
            others.emplace_back([&work, count, shares, i = next] { work(count * i / shares, count * (i + 1) / shares); });
    } catch (const std::exception&) {  // the system starts no more
    }
    if (count > 0) work(0, count / shares);
    if (next < shares) work(count * next / shares, count);
    for (std::thread& other : others) other.join();
}

Bytes bytes_of(int64_t nbytes, std::initializer_list<size_t> shape) {
    uint8_t* data = new uint8_t[size_t(nbytes)];
    return Bytes(data, shape, nb::capsule(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); }));
}

Bytes pack_matrix(const Values& values, const std::string& format, int threads) {
    const Format f = format == "q8" ? Format::Q8 : format == "q4" ? Format::Q4 : Format::Q2;
    if (f == Format::Q2 && format != "q2") throw std::invalid_argument("unknown format '" + format + "'");
    const int64_t rows = int64_t(values.shape(0)), cols = int64_t(values.shape(1)), blocks = ceil_div(rows, BLOCK_ROWS);
    const int64_t nbytes = blocks * row_block_bytes(f, cols);
    Bytes out = bytes_of(nbytes, {size_t(nbytes)});
    nb::gil_scoped_release release;
    in_shares(blocks, threads, [&](int64_t begin, int64_t end) {
        quant::pack_blocks(values.data(), rows, cols, f, begin, end, out.data());
    });
    return out;
}

Bytes pack_table(const Values& values, const std::string& format, int threads) {
    if (format != "q4_0" && format != "q8_0") throw std::invalid_argument("unknown format '" + format + "'");
    const quant::RowFormat f = format == "q4_0" ? quant::RowFormat::Q4_0 : quant::RowFormat::Q8_0;
    const int64_t rows = int64_t(values.shape(0)), cols = int64_t(values.shape(1)), width = quant::row_bytes(f, cols);
    Bytes out = bytes_of(rows * width, {size_t(rows), size_t(width)});
    nb::gil_scoped_release release;
    in_shares(rows, threads, [&](int64_t begin, int64_t end) {
        quant::pack_rows(values.data(), cols, f, begin, end, out.data());
    });
    return out;
}

}  // namespace

}  // namespace gemsmith

void bind_quant(nb::module_& m) {
    m.def("pack_matrix", &gemsmith::pack_matrix, nb::arg("values"), nb::arg("format"), nb::arg("threads") = 1);
    m.def("pack_table", &gemsmith::pack_table, nb::arg("values"), nb::arg("format"), nb::arg("threads") = 1);
}
