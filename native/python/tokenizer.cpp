// TokenTable: the tokenizer's table for Python. Buffers in, lists and bytes out; the work itself runs without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "../tokenizer/encode.h"

namespace nb = nanobind;

namespace {

using namespace gemsmith::tokenizer;
using Buffer = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

class TokenTable {
public:
    explicit TokenTable(Buffer buffer) : buffer_(std::move(buffer)) {
        const auto* data = reinterpret_cast<const std::byte*>(buffer_.data());
        if (const char* wrong = table_.open(data, buffer_.size())) throw nb::value_error(wrong);
    }

    // (ids, what went wrong or "", at which byte)
    nb::tuple encode(nb::bytes text, size_t window) const {
        std::vector<int32_t> ids;
        Outcome outcome;
        const std::string_view view(text.c_str(), text.size());
        if (view.size() >= NONE) throw nb::value_error("a text of 4 GiB or more; encode it in parts");
        {
            nb::gil_scoped_release unlocked;
            outcome = gemsmith::tokenizer::encode(table_, view, ids, window);
        }
        return nb::make_tuple(list_of(ids), name(outcome.status), outcome.at);
    }

    // (bytes, what went wrong or "", at which id)
    nb::tuple decode(const std::vector<int64_t>& ids, bool control) const {
        std::string bytes;
        Outcome outcome;
        {
            nb::gil_scoped_release unlocked;
            outcome = gemsmith::tokenizer::decode(table_, ids.data(), ids.size(), control, bytes);
        }
        return nb::make_tuple(nb::bytes(bytes.data(), bytes.size()), name(outcome.status), outcome.at);
    }

private:
    static nb::object list_of(const std::vector<int32_t>& ids) {
        nb::object list = nb::steal(PyList_New(static_cast<Py_ssize_t>(ids.size())));
        if (!list.is_valid()) nb::raise_python_error();
        for (size_t i = 0; i < ids.size(); ++i) {
            PyObject* id = PyLong_FromLong(ids[i]);
            if (id == nullptr) nb::raise_python_error();
            PyList_SetItem(list.ptr(), static_cast<Py_ssize_t>(i), id);
        }
        return list;
    }

    static const char* name(Status status) {
        switch (status) {
            case Status::ok: return "";
            case Status::not_utf8: return "not utf-8";
            case Status::no_symbol: return "no symbol";
            case Status::no_token: return "no token";
            case Status::damaged: return "damaged";
        }
        return "damaged";
    }

    Buffer buffer_;  // holds what the table points into
    Table table_;
};

}  // namespace

void bind_tokenizer(nb::module_& m) {
    nb::class_<TokenTable>(m, "TokenTable")
        .def(nb::init<Buffer>(), nb::arg("buffer"))
        .def("encode", &TokenTable::encode, nb::arg("text"), nb::arg("window") = WINDOW)
        .def("decode", &TokenTable::decode, nb::arg("ids"), nb::arg("control") = false);
}
