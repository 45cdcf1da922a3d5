// The engine for Python: a program comes as dictionaries and arrays (gemsmith.runtime.cpu.lower), rows go back as arrays.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "../engine/engine.h"

namespace nb = nanobind;

namespace gemsmith {

namespace {

template <typename T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <typename T>
using Out = nb::ndarray<nb::numpy, T>;

template <typename T>
T get(const nb::dict& d, const char* key) {
    return nb::cast<T>(d[key]);
}

// An array as it stands: a converted copy would be gone when the program runs.
template <typename T>
In<T> array_in(nb::handle object) {
    return nb::cast<In<T>>(object, false);
}

template <typename T>
T get_or(const nb::dict& d, const char* key, T otherwise) {
    return d.contains(key) ? nb::cast<T>(d[key]) : otherwise;
}

template <typename T>
Out<T> array_of(size_t rows, size_t columns) {
    T* data = new T[rows * columns];
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return Out<T>(data, {rows, columns}, owner);
}

const std::vector<std::string> FORMATS{"f32", "f16", "bf16", "q8", "q4", "q2", "q8_planes"}, KV_FORMATS{"f32", "bf16", "q8"},
    ROW_KINDS{"f32", "f16", "bf16", "q8_0", "q4_0", "q6_k"};

template <typename E>
E named(const std::vector<std::string>& names, const std::string& name) {
    for (size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return E(i);
    throw std::invalid_argument("unknown format '" + name + "'");
}

Matrix to_matrix(const nb::dict& d) {
    auto data = array_in<uint8_t>(d["data"]);
    Matrix m{named<Format>(FORMATS, get<std::string>(d, "format")), get<int64_t>(d, "rows"), get<int64_t>(d, "cols"),
             reinterpret_cast<const std::byte*>(data.data())};
    const int64_t count = get_or<int64_t>(d, "count", 1);
    if (m.rows < 1 || m.cols < 1 || int64_t(data.size()) != count * m.num_blocks() * row_block_bytes(m.format, m.cols))
        throw std::invalid_argument("a packed matrix has the wrong number of bytes");
    return m;
}

Step to_step(const nb::dict& d) {
    Step s;
    s.op = Op(get<int32_t>(d, "op"));
    s.layer = get_or<int32_t>(d, "layer", -1);
    s.in = get_or<int32_t>(d, "in", -1);
    s.out = get_or<int32_t>(d, "out", -1);
    s.forms = get_or<int32_t>(d, "forms", 0);
    s.first = get_or<int64_t>(d, "first", 0);
    s.end = get_or<int64_t>(d, "end", 0);
    s.picked = get_or<bool>(d, "picked", false);
    s.scalar = get_or<float>(d, "scalar", 1.0f);
    if (d.contains("matrices"))
        for (nb::handle m : nb::cast<nb::list>(d["matrices"])) {
            const nb::dict matrix = nb::cast<nb::dict>(m);
            const int i = s.num_matrices++;
            if (i >= 3) throw std::invalid_argument("a step has at most three matrices");
            s.matrices[i] = to_matrix(matrix);
            if (s.matrices[i].format == Format::Q8Planes) throw std::invalid_argument("only the head can be in two planes");
            s.first_block[i] = get_or<int64_t>(matrix, "first_block", 0);
            s.end_block[i] = get_or<int64_t>(matrix, "end_block", s.matrices[i].num_blocks());
            s.columns[i] = get_or<int64_t>(matrix, "column", 0);
        }
    if (d.contains("column")) s.columns[0] = get<int64_t>(d, "column");
    if (d.contains("vectors")) {
        int i = 0;
        for (nb::handle v : nb::cast<nb::list>(d["vectors"])) {
            if (i >= 4) throw std::invalid_argument("a step has at most four vectors");
            s.vectors[i++] = v.is_none() ? nullptr : array_in<float>(v).data();
        }
    }
    return s;
}

LayerFacts to_layer(const nb::dict& d) {
    return {get<bool>(d, "is_sliding"),         get<bool>(d, "k_eq_v"),        get<bool>(d, "makes_kv"),
            get<int64_t>(d, "head_dim"),        get<int64_t>(d, "num_kv_heads"), get<int64_t>(d, "kv_source"),
            get<int64_t>(d, "num_rotated_pairs"), get<int64_t>(d, "key_column"), get<int64_t>(d, "value_column")};
}

RowTable to_table(const nb::dict& d) {
    RowTable t;
    t.kind = named<RowTable::Kind>(ROW_KINDS, get<std::string>(d, "format"));
    t.num_rows = get<int64_t>(d, "rows");
    t.width = get<int64_t>(d, "width");
    t.row_bytes = get<int64_t>(d, "row_bytes");
    t.offset = get_or<int64_t>(d, "offset", 0);
    t.file = get_or<int>(d, "file", -1);
    if (t.file < 0) {
        auto data = array_in<uint8_t>(d["data"]);
        if (int64_t(data.size()) != t.num_rows * t.row_bytes) throw std::invalid_argument("a table has the wrong number of bytes");
        t.data = reinterpret_cast<const std::byte*>(data.data());
    }
    return t;
}

Program to_program(const nb::dict& d) {
    Program p;
    const nb::dict dims = get<nb::dict>(d, "dims");
    p.dims = {get<int64_t>(dims, "vocab_size"),    get<int64_t>(dims, "hidden_size"), get<int64_t>(dims, "num_layers"),
              get<int64_t>(dims, "num_heads"),     get<int64_t>(dims, "sliding_window"),
              get<int64_t>(dims, "per_layer_width"), get<int64_t>(dims, "num_experts"),
              get<int64_t>(dims, "num_active_experts"), get<float>(dims, "eps"), get<float>(dims, "softcap"),
              get<float>(dims, "embedding_scale"), get<float>(dims, "per_layer_scale")};
    for (nb::handle layer : get<nb::list>(d, "layers")) p.layers.push_back(to_layer(nb::cast<nb::dict>(layer)));
    for (nb::handle step : get<nb::list>(d, "steps")) p.steps.push_back(to_step(nb::cast<nb::dict>(step)));
    auto frequencies = get<std::vector<std::vector<float>>>(d, "frequencies");
    for (size_t i : {0, 1}) p.frequencies[i] = frequencies.at(i);
    p.embedding = to_matrix(get<nb::dict>(d, "embedding"));
    if (d.contains("table")) p.per_layer_table = to_table(get<nb::dict>(d, "table"));
    p.buffer_widths = get<std::vector<int64_t>>(d, "buffer_widths");
    p.lane_widths = get<std::vector<int64_t>>(d, "lane_widths");
    p.lane_forms = get<std::vector<int32_t>>(d, "lane_forms");
    p.buffer_per_expert = get<std::vector<int32_t>>(d, "buffer_per_expert");
    p.lane_per_expert = get<std::vector<int32_t>>(d, "lane_per_expert");
    p.x = get<int32_t>(d, "x");
    p.attended = get<int32_t>(d, "attended");
    p.tokens = get_or<int32_t>(d, "tokens", -1);
    p.head_forms = get<int32_t>(d, "head_forms");
    return p;
}

// Sequence, ids, wanted, is_soft or None, blocks or None, soft rows or None.
using RunTuple = std::tuple<int64_t, In<int32_t>, In<int64_t>, nb::object, nb::object, nb::object>;

class PyEngine {
public:
    PyEngine(nb::dict program, int threads, const std::string& kv, int32_t pad_id)
        : keep_(program), engine_(to_program(program), threads, named<KvFormat>(KV_FORMATS, kv), pad_id) {
        if (pad_id < 0 || pad_id >= num_ids())  // soft rows take its row of the per-layer table
            throw std::invalid_argument("the padding token " + std::to_string(pad_id) + " is outside the vocabulary's " +
                                        std::to_string(num_ids()) + " rows");
    }

    // f(engine) without the GIL, and with the engine to itself: Python's threads share it. The lock goes before the GIL
    // comes back, for who holds one and waits for the other would wait for ever.
    template <typename F>
    auto alone(F f) {
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> lock(mutex_);
        return f(engine_);
    }

    Out<float> step(const std::vector<RunTuple>& tuples) {
        std::vector<RunInput> runs;
        size_t wanted = 0;
        for (const auto& [sequence, ids, rows, is_soft, blocks, soft] : tuples) {
            RunInput run{sequence, {ids.data(), ids.size()}, {rows.data(), rows.size()}, {}, {}, nullptr};
            int64_t num_soft = 0;
            if (!is_soft.is_none()) {
                auto flags = array_in<uint8_t>(is_soft);
                run.is_soft = {flags.data(), flags.size()};
                for (uint8_t flag : run.is_soft) num_soft += flag != 0;
            }
            if (!blocks.is_none()) {
                auto numbers = array_in<int32_t>(blocks);
                run.blocks = {numbers.data(), numbers.size()};
            }
            if (!soft.is_none()) {
                auto values = array_in<float>(soft);
                if (int64_t(values.size()) != num_soft * engine_.program().dims.hidden_size)
                    throw std::invalid_argument("soft tokens and placeholders differ in number");
                run.soft = values.data();
            } else if (num_soft) {
                throw std::invalid_argument("placeholders without soft tokens");
            }
            check(run);
            wanted += rows.size();
            runs.push_back(run);
        }
        Out<float> hidden = array_of<float>(wanted, size_t(engine_.program().dims.hidden_size));
        alone([&](Engine& e) { e.step(runs, hidden.data()); });
        return hidden;
    }

    Out<float> logits(In<float> hidden) {
        const size_t rows = check_hidden(hidden);
        Out<float> out = array_of<float>(rows, size_t(engine_.program().dims.vocab_size));
        alone([&](Engine& e) { e.logits(hidden.data(), int64_t(rows), out.data()); });
        return out;
    }

    std::tuple<Out<int64_t>, Out<float>, Out<float>> top(In<float> hidden, int64_t k) {
        const size_t rows = check_asked(hidden, k);
        auto ids = array_of<int64_t>(rows, size_t(k));
        auto values = array_of<float>(rows, size_t(k)), sums = array_of<float>(rows, 1);
        alone([&](Engine& e) { e.top(hidden.data(), int64_t(rows), k, ids.data(), values.data(), sums.data()); });
        return {ids, values, sums};
    }

    std::tuple<Out<int64_t>, Out<float>> likeliest(In<float> hidden, int64_t k) {
        const size_t rows = check_asked(hidden, k);
        auto ids = array_of<int64_t>(rows, size_t(k));
        auto values = array_of<float>(rows, size_t(k));
        alone([&](Engine& e) { e.likeliest(hidden.data(), int64_t(rows), k, ids.data(), values.data()); });
        return {ids, values};
    }

    // The codes that a lane's first rows still hold.
    Out<int8_t> lane_codes(int32_t i, int64_t rows) {
        const int64_t width = engine_.lane(i).width;  // which never changes
        if (rows < 1) throw std::invalid_argument("the lane has no such rows of codes");
        Out<int8_t> out = array_of<int8_t>(size_t(rows), size_t(width));
        alone([&](Engine& e) {
            if (rows * width > e.lane(i).codes.nbytes()) throw std::invalid_argument("the lane has no such rows of codes");
            std::copy_n(e.lane(i).codes.data(), rows * width, out.data());
        });
        return out;
    }

    int num_threads() const { return engine_.num_threads(); }

private:
    size_t check_hidden(const In<float>& hidden) const {
        if (hidden.ndim() != 2 || int64_t(hidden.shape(1)) != engine_.program().dims.hidden_size)
            throw std::invalid_argument("hidden rows have the wrong width");
        return hidden.shape(0);
    }

    size_t check_asked(const In<float>& hidden, int64_t k) const {
        if (k < 1 || k > engine_.program().dims.vocab_size) throw std::invalid_argument("k is outside the vocabulary");
        return check_hidden(hidden);
    }

    int64_t num_ids() const {
        const Program& p = engine_.program();
        return p.dims.per_layer_width ? std::min(p.dims.vocab_size, p.per_layer_table.num_rows) : p.dims.vocab_size;
    }

    void check(const RunInput& run) const {
        const size_t n = run.ids.size();
        if (!n || (!run.is_soft.empty() && run.is_soft.size() != n) || (!run.blocks.empty() && run.blocks.size() != n))
            throw std::invalid_argument("a run's arrays differ in length, or it is empty");
        for (int32_t id : run.ids)
            if (id < 0 || id >= num_ids()) throw std::invalid_argument("token " + std::to_string(id) + " is outside the vocabulary");
        int64_t last = -1;
        for (int64_t row : run.wanted) {
            if (row <= last || row >= int64_t(n)) throw std::invalid_argument("wanted rows must rise and lie within the run");
            last = row;
        }
    }

    nb::dict keep_;  // whose arrays the program points into
    std::mutex mutex_;
    Engine engine_;
};

}  // namespace

}  // namespace gemsmith

void bind_engine(nb::module_& m) {
    using gemsmith::Engine;
    using gemsmith::PyEngine;
    nb::class_<PyEngine>(m, "Engine")
        .def(nb::init<nb::dict, int, const std::string&, int32_t>(), nb::arg("program"), nb::arg("threads"), nb::arg("kv"),
             nb::arg("pad_id"))
        .def("create", [](PyEngine& p) { return p.alone([](Engine& e) { return e.create(); }); })
        .def("fork", [](PyEngine& p, int64_t s) { return p.alone([=](Engine& e) { return e.fork(s); }); })
        .def("free", [](PyEngine& p, int64_t s) { p.alone([=](Engine& e) { e.free(s); }); })
        .def("length", [](PyEngine& p, int64_t s) { return p.alone([=](Engine& e) { return e.sequence(s).length; }); })
        .def("trim", [](PyEngine& p, int64_t s, int64_t to) { p.alone([=](Engine& e) { e.sequence(s).trim(to); }); })
        .def("nbytes", [](PyEngine& p, int64_t s) { return p.alone([=](Engine& e) { return e.sequence(s).nbytes(); }); })
        .def("step", &PyEngine::step)
        .def("logits", &PyEngine::logits)
        .def("top", &PyEngine::top)
        .def("likeliest", &PyEngine::likeliest)
        .def_prop_ro("whole_heads_read", [](PyEngine& p) { return p.alone([](Engine& e) { return e.whole_heads_read(); }); })
        .def("lane_codes", &PyEngine::lane_codes, nb::arg("lane"), nb::arg("rows"),
             "int8 [rows, padded width] that a lane holds behind `step`: for tests")
        .def_prop_ro("threads", &PyEngine::num_threads)
        .def("record", [](PyEngine& p, bool on) { p.alone([=](Engine& e) { e.record(on); }); })
        .def_prop_ro("seconds", [](PyEngine& p) { return p.alone([](Engine& e) { return e.seconds(); }); });
}
