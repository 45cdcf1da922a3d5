// The head: hidden rows times the embedding table, taken in chunks of the vocabulary whose size depends on nothing else,
// so that sums come out the same whatever the number of threads.
#include <algorithm>
#include <cmath>
#include <functional>
#include <new>

#include "best.h"
#include "planes.h"
#include "worker.h"

namespace gemsmith {

namespace {

// Row blocks [begin, end) of the head, which a kernel takes as they are; two planes are joined block by block in `joined`.
void multiply(const Matrix& m, int64_t begin, int64_t end, const Activations& x, int64_t rows, float* out, int64_t stride,
              std::byte* joined) {
    const IsaTable& k = isa();
    if (m.format != Format::Q8Planes) return k.matmul(m, begin, end, x, rows, out - begin * BLOCK_ROWS, stride);
    const Planes planes(m);
    const Matrix block{Format::Q8, BLOCK_ROWS, m.cols, joined};
    for (int64_t b = begin; b < end; ++b) {
        planes.join_block(b, joined);
        k.matmul(block, 0, 1, x, rows, out + (b - begin) * BLOCK_ROWS, stride);
    }
}

}  // namespace

void Engine::make_head_lane(const float* hidden, int64_t rows) {
    const int64_t D = program_.dims.hidden_size;
    head_lane_.reserve(rows);
    for (int64_t t = 0; t < rows; ++t) {
        if (head_lane_.forms & FLOATS) std::copy_n(hidden + t * D, D, head_lane_.values.data() + t * head_lane_.width);
        if (head_lane_.forms & CODES) isa().quantize_row(hidden + t * D, D, head_lane_.quantized().row(t));
    }
}

void Engine::share_out(int64_t chunks, const std::function<void(int thread, int64_t chunk)>& f) {
    std::atomic<int64_t> taken = 0;
    out_of_memory_ = false;
    pool_.run([&](int thread) {
        try {
            for (int64_t c; (c = taken.fetch_add(1, std::memory_order_relaxed)) < chunks;) f(thread, c);
        } catch (const std::bad_alloc&) {
            out_of_memory_ = true;
        }
    });
    if (out_of_memory_) throw std::bad_alloc();
}

void Engine::head(const float* hidden, int64_t num_rows, int64_t rows_at_once, const Take& take) {
    const Matrix& m = program_.embedding;
    const int64_t D = program_.dims.hidden_size, V = program_.dims.vocab_size, blocks = m.num_blocks();
    const int64_t chunks = ceil_div(blocks, HEAD_CHUNK);
    const int64_t joined_floats = row_block_bytes(m.format, m.cols) / int64_t(sizeof(float));
    const IsaTable& k = isa();
    for (int64_t row = 0; row < num_rows; row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, num_rows - row);
        make_head_lane(hidden + row * D, rows);
        share_out(chunks, [&](int thread, int64_t c) {
            const int64_t stride = HEAD_CHUNK * BLOCK_ROWS;
            const int64_t begin = c * HEAD_CHUNK, end = std::min(blocks, begin + HEAD_CHUNK);
            const int64_t first = begin * BLOCK_ROWS, count = std::min(V, end * BLOCK_ROWS) - first;
            Array<float>& own = thread_scratch_[size_t(thread)];
            own.reserve(rows * stride + joined_floats);
            multiply(m, begin, end, head_lane_.from(0), rows, own.data(), stride,
                     reinterpret_cast<std::byte*>(own.data() + rows * stride));
            for (int64_t t = 0; t < rows; ++t) {
                float* values = own.data() + t * stride;
                if (program_.dims.softcap > 0) k.softcap(values, count, program_.dims.softcap);
                take(thread, row + t, c, first, count, values);
            }
        });
    }
}

void Engine::logits(const float* hidden, int64_t num_rows, float* out) {
    const int64_t V = program_.dims.vocab_size;
    head(hidden, num_rows, 64, [&](int, int64_t row, int64_t, int64_t first, int64_t count, const float* values) {
        std::copy_n(values, count, out + row * V + first);
    });
}

void Engine::top(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values, float* log_sums) {
    const int64_t chunks = ceil_div(program_.embedding.num_blocks(), HEAD_CHUNK), threads = pool_.threads();
    std::vector<Best> best(static_cast<size_t>(threads * num_rows), Best(k));
    std::vector<float> largest(static_cast<size_t>(chunks * num_rows)), sums(largest.size());
    head(hidden, num_rows, 64, [&](int thread, int64_t row, int64_t chunk, int64_t first, int64_t count, const float* logits) {
        const size_t at = size_t(row * chunks + chunk);
        isa().max_and_sum(logits, count, &largest[at], &sums[at]);
        best[size_t(row * threads + thread)].offer(logits, count, first);
    });
    for (int64_t row = 0; row < num_rows; ++row) {
        Best of_all(k);
        for (int64_t t = 0; t < threads; ++t) of_all.offer(best[size_t(row * threads + t)]);
        const std::vector<Candidate> all = of_all.sorted();
        for (int64_t i = 0; i < k; ++i) {
            ids[row * k + i] = all[size_t(i)].id;
            values[row * k + i] = all[size_t(i)].value;
        }
        const float* m = &largest[size_t(row * chunks)];
        const float most = *std::max_element(m, m + chunks);
        double sum = 0.0;
        for (int64_t c = 0; c < chunks; ++c) sum += double(sums[size_t(row * chunks + c)]) * std::exp(double(m[c] - most));
        log_sums[row] = float(double(most) + std::log(sum));
    }
}

}  // namespace gemsmith
