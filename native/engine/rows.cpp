// Steps that work on rows one by one.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "unpack.h"
#include "worker.h"

namespace gemsmith {

namespace {

bool read_exactly(int file, std::byte* to, int64_t nbytes, int64_t offset) {
    while (nbytes > 0) {
        const ssize_t n = pread(file, to, size_t(nbytes), offset);
        if (n < 0 && errno == EINTR) continue;  // a signal came first
        if (n <= 0) return false;
        to += n, offset += n, nbytes -= n;
    }
    return true;
}

}  // namespace

void Lane::copy_row(int64_t to, const Lane& other, int64_t from) const {
    if (forms & other.forms & FLOATS)
        std::copy_n(other.values.data() + from * width, width, values.data() + to * width);
    if (forms & other.forms & CODES) {
        const Quantized a = quantized().row(to), b = other.quantized().row(from);
        std::copy_n(b.codes, width, a.codes);
        std::copy_n(b.scales, width / GROUP, a.scales);
        std::copy_n(b.sums, width / GROUP, a.sums);
    }
}

void Worker::embed(const Step&) {
    const Program& p = e.program_;
    const int64_t D = p.dims.hidden_size;
    share(e.rows_.all.size(), 4, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const RowFacts& row = e.rows_.all.facts[size_t(t)];
            float* x = buffer(p.x).row(t);
            if (row.soft) {  // not scaled: their projection learnt it
                std::copy_n(row.soft, D, x);
            } else {
                unpack_row(p.embedding, row.id, x);
                for (int64_t i = 0; i < D; ++i) x[i] *= p.dims.embedding_scale;
            }
            if (!p.dims.per_layer_width) continue;
            const RowTable& table = p.per_layer_table;
            const std::byte* bytes = table.data + row.id * table.row_bytes;
            if (table.file >= 0) {
                std::byte* own = e.table_rows_.data() + thread * table.row_bytes;
                if (!read_exactly(table.file, own, table.row_bytes, table.offset + row.id * table.row_bytes)) {
                    e.read_failed_ = true;
                    return;
                }
                bytes = own;
            }
            unpack_table_row(table, bytes, table.width, buffer(p.tokens).row(t));
        }
    });
}

void Worker::lane_of(const Step& step) {
    Buffer& from = buffer(step.op == Op::Lane ? e.program_.x : step.in);
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) make_lane(step, lane(step.out), t, from.row(t), step.end);
    });
}

void Worker::norm(const Step& step) {
    const int64_t D = e.program_.dims.hidden_size;
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        float* y = scratch(D);
        for (int64_t t = begin; t < end; ++t) {
            k.rms_norm(buffer(e.program_.x).row(t), step.vectors[0], e.program_.dims.eps, D, y);
            make_lane(step, lane(step.out), t, y, D);
        }
    });
}

void Worker::residual(const Step& step) {
    const int64_t D = e.program_.dims.hidden_size;
    const float eps = e.program_.dims.eps;
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        float* y = scratch(D);
        for (int64_t t = begin; t < end; ++t) {
            float* x = buffer(e.program_.x).row(t);
            k.add_rms_norm(x, buffer(step.in).row(t), step.vectors[0], eps, D);
            if (step.scalar != 1.0f)
                for (int64_t i = 0; i < D; ++i) x[i] *= step.scalar;
            if (step.out < 0) continue;
            if (step.vectors[1]) k.rms_norm(x, step.vectors[1], eps, D, y);
            make_lane(step, lane(step.out), t, step.vectors[1] ? y : x, D);
        }
    });
}

void Worker::per_layer(const Step& step) {
    const Dimensions& dims = e.program_.dims;
    const int64_t P = dims.per_layer_width, num_layers = step.end - step.first;
    const float half = float(std::sqrt(0.5));
    share(num_rows(step) * num_layers, 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t t = i / num_layers, layer = step.first + i % num_layers;
            float* y = buffer(step.out).row(t) + layer * P - step.columns[0];
            const float* token = buffer(e.program_.tokens).row(row_in_all(t, step.picked)) + layer * P;
            for (int64_t j = 0; j < P; ++j) y[j] *= step.scalar;
            k.rms_norm(y, step.vectors[0], dims.eps, P, y);
            for (int64_t j = 0; j < P; ++j) y[j] = (y[j] + token[j] * dims.per_layer_scale) * half;
        }
    });
}

void Worker::pick(const Step& step) {
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) lane(step.out).copy_row(t, lane(step.in), row_in_all(t, true));
    });
}

void Worker::select(const Step& step) {
    if (thread != 0) return;
    const std::vector<int64_t>& from = e.rows_.wanted_index;
    for (int64_t t = 0; t < int64_t(from.size()); ++t) {  // rising, so nothing is overwritten before it has moved
        if (from[size_t(t)] == t) continue;
        Buffer& x = buffer(e.program_.x);
        std::copy_n(x.row(from[size_t(t)]), x.width, x.row(t));
        lane(step.in).copy_row(t, lane(step.in), from[size_t(t)]);
    }
    e.selected_ = true;
}

void Worker::output(const Step& step) {
    const int64_t D = e.program_.dims.hidden_size;
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t)
            k.rms_norm(buffer(e.program_.x).row(t), step.vectors[0], e.program_.dims.eps, D, e.hidden_ + t * D);
    });
}

}  // namespace gemsmith
