// Steps of the mixture of experts: rows are sorted by expert, so that an expert's weights are read once for all its rows.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "worker.h"

namespace gemsmith {

void Worker::route(const Step& step) {
    const int64_t E = e.program_.dims.num_experts, A = e.program_.dims.num_active_experts, rows = num_rows(step);
    if (thread != 0) return;  // a few hundred numbers a row
    std::vector<int32_t> order(static_cast<size_t>(E));
    std::vector<int64_t> count(static_cast<size_t>(E), 0);
    for (int64_t t = 0; t < rows; ++t) {
        float* p = buffer(step.in).row(t);
        const float most = *std::max_element(p, p + E);
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + A, order.end(),
                          [p](int32_t a, int32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); });
        float sum = 0.0f;
        for (int64_t a = 0; a < A; ++a) sum += std::exp(p[order[size_t(a)]] - most);
        for (int64_t a = 0; a < A; ++a) {
            const int32_t expert = order[size_t(a)];
            e.expert_of_[size_t(t * A + a)] = expert;
            e.expert_weight_[size_t(t * A + a)] = std::exp(p[expert] - most) / sum * step.vectors[0][expert];
            ++count[size_t(expert)];
        }
    }
    e.used_experts_.clear();
    e.expert_start_.clear();
    int64_t start = 0;
    std::vector<int64_t> next(static_cast<size_t>(E));
    for (int64_t expert = 0; expert < E; ++expert) {
        next[size_t(expert)] = start;
        if (!count[size_t(expert)]) continue;
        e.used_experts_.push_back(expert);
        e.expert_start_.push_back(start);
        start += count[size_t(expert)];
    }
    e.expert_start_.push_back(start);
    for (int64_t i = 0; i < rows * A; ++i) {
        const int64_t place = next[size_t(e.expert_of_[size_t(i)])]++;
        e.place_of_[size_t(i)] = place;
        e.source_of_[size_t(place)] = i / A;
    }
}

void Worker::gather(const Step& step) {
    share(num_rows(step) * e.program_.dims.num_active_experts, 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) lane(step.out).copy_row(i, lane(step.in), e.source_of_[size_t(i)]);
    });
}

void Worker::experts_up(const Step& step) {
    const Matrix& m = step.matrices[0];
    const int64_t blocks = m.num_blocks(), units = ceil_div(blocks, 4), bytes = row_block_bytes(m.format, m.cols) * blocks;
    const bool single = num_rows(step) == 1;
    const int64_t at_once = single ? 4 : 1;
    share_matrix(int64_t(e.used_experts_.size()) * units, 1, 1, single, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end;) {
            const size_t used = size_t(i / units);
            const int64_t u = i % units, num = std::min({at_once, end - i, units - u});
            const int64_t first = e.expert_start_[used], count = e.expert_start_[used + 1] - first;
            const int64_t last = std::min(blocks, 4 * (u + num)), stride = (last - 4 * u) * BLOCK_ROWS;
            float* y = scratch(count * stride);
            const Matrix expert{m.format, m.rows, m.cols, m.data + e.used_experts_[used] * bytes};
            multiply(expert, 4 * u, last, lane(step.in).from(first), count, y, stride);
            for (int64_t t = 0; t < count; ++t)
                gate_units(lane(step.out), first + t, u, y + t * stride, y + t * stride + BLOCK_ROWS, stride / 2, step.forms);
            i += num;
        }
    });
}

void Worker::experts_down(const Step& step) {
    const Matrix& m = step.matrices[0];
    const int64_t blocks = m.num_blocks(), bytes = row_block_bytes(m.format, m.cols) * blocks;
    Buffer& out = buffer(step.out);
    share_matrix(int64_t(e.used_experts_.size()) * blocks, 4, 4, num_rows(step) == 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end;) {
            const size_t used = size_t(i / blocks);
            const int64_t b = i % blocks, num = std::min(end - i, blocks - b);
            const int64_t first = e.expert_start_[used], count = e.expert_start_[used + 1] - first;
            const Matrix expert{m.format, m.rows, m.cols, m.data + e.used_experts_[used] * bytes};
            multiply(expert, b, b + num, lane(step.in).from(first), count, out.row(first) + BLOCK_ROWS * b, out.width);
            i += num;
        }
    });
}

void Worker::experts_residual(const Step& step) {
    const int64_t D = e.program_.dims.hidden_size, A = e.program_.dims.num_active_experts;
    const float eps = e.program_.dims.eps;
    const Buffer& experts = buffer(int32_t(step.first));
    share(num_rows(step), 1, [&](int64_t begin, int64_t end) {
        float* sum = scratch(2 * D);
        float* dense = sum + D;
        for (int64_t t = begin; t < end; ++t) {
            std::fill_n(sum, D, 0.0f);
            for (int64_t a = 0; a < A; ++a) {  // in the order of choice, whatever rows stand beside
                const float weight = e.expert_weight_[size_t(t * A + a)];
                const float* y = experts.row(e.place_of_[size_t(t * A + a)]);
                for (int64_t i = 0; i < D; ++i) sum[i] += weight * y[i];
            }
            k.rms_norm(buffer(step.in).row(t), step.vectors[0], eps, D, dense);
            k.add_rms_norm(dense, sum, step.vectors[1], eps, D);
            float* x = buffer(e.program_.x).row(t);
            k.add_rms_norm(x, dense, step.vectors[2], eps, D);
            if (step.scalar != 1.0f)
                for (int64_t i = 0; i < D; ++i) x[i] *= step.scalar;
            if (step.out < 0) continue;
            if (step.vectors[3]) k.rms_norm(x, step.vectors[3], eps, D, sum);
            make_lane(step, lane(step.out), t, step.vectors[3] ? sum : x, D);
        }
    });
}

}  // namespace gemsmith
