// The head: hidden rows times the embedding table, taken in chunks of the vocabulary whose size depends on nothing else,
// so that sums come out the same whatever the number of threads.
#include <algorithm>
#include <cmath>
#include <functional>
#include <new>

#include "worker.h"

namespace gemsmith {

namespace {

constexpr int64_t CHUNK_BLOCKS = 64;  // 2,048 ids

struct Candidate {
    float value;
    int64_t id;
    bool operator<(const Candidate& other) const {  // a heap's top is then the worst
        return value > other.value || (value == other.value && id < other.id);
    }
};

// Keeps the k best of all that it is offered.
void offer(std::vector<Candidate>& best, size_t k, const float* values, int64_t count, int64_t first_id) {
    for (int64_t i = 0; i < count; ++i) {
        if (best.size() == k && !(values[i] > best.front().value || (values[i] == best.front().value && first_id + i < best.front().id)))
            continue;
        if (best.size() == k) {
            std::pop_heap(best.begin(), best.end());
            best.pop_back();
        }
        best.push_back({values[i], first_id + i});
        std::push_heap(best.begin(), best.end());
    }
}

}  // namespace

void Engine::head(const float* hidden, int64_t num_rows, int64_t rows_at_once, const Take& take) {
    const Matrix& m = program_.embedding;
    const int64_t D = program_.dims.hidden_size, V = program_.dims.vocab_size, blocks = m.num_blocks();
    const int64_t chunks = ceil_div(blocks, CHUNK_BLOCKS);
    const IsaTable& k = isa();
    out_of_memory_ = false;
    for (int64_t row = 0; row < num_rows; row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, num_rows - row);
        head_lane_.reserve(rows);
        for (int64_t t = 0; t < rows; ++t) {
            const float* x = hidden + (row + t) * D;
            if (head_lane_.forms & FLOATS) std::copy_n(x, D, head_lane_.values.data() + t * head_lane_.width);
            if (head_lane_.forms & CODES) k.quantize_row(x, D, head_lane_.quantized().row(t));
        }
        std::atomic<int64_t> taken = 0;
        pool_.run([&](int thread) {
            try {
                const int64_t stride = CHUNK_BLOCKS * BLOCK_ROWS;
                Array<float>& own = thread_scratch_[size_t(thread)];
                own.reserve(rows * stride);
                for (int64_t c; (c = taken.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
                    const int64_t begin = c * CHUNK_BLOCKS, end = std::min(blocks, begin + CHUNK_BLOCKS);
                    const int64_t first = begin * BLOCK_ROWS, count = std::min(V, end * BLOCK_ROWS) - first;
                    k.matmul(m, begin, end, head_lane_.from(0), rows, own.data() - first, stride);
                    for (int64_t t = 0; t < rows; ++t) {
                        float* values = own.data() + t * stride;
                        if (program_.dims.softcap > 0) k.softcap(values, count, program_.dims.softcap);
                        take(thread, row + t, c, first, count, values);
                    }
                }
            } catch (const std::bad_alloc&) {
                out_of_memory_ = true;
            }
        });
        if (out_of_memory_) throw std::bad_alloc();
    }
}

void Engine::logits(const float* hidden, int64_t num_rows, float* out) {
    const int64_t V = program_.dims.vocab_size;
    head(hidden, num_rows, 64, [&](int, int64_t row, int64_t, int64_t first, int64_t count, const float* values) {
        std::copy_n(values, count, out + row * V + first);
    });
}

void Engine::top(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values, float* log_sums) {
    const int64_t chunks = ceil_div(program_.embedding.num_blocks(), CHUNK_BLOCKS), threads = pool_.threads();
    std::vector<std::vector<Candidate>> best(static_cast<size_t>(threads * num_rows));
    std::vector<float> largest(static_cast<size_t>(chunks * num_rows)), sums(largest.size());
    head(hidden, num_rows, 64, [&](int thread, int64_t row, int64_t chunk, int64_t first, int64_t count, const float* logits) {
        const size_t at = size_t(row * chunks + chunk);
        isa().max_and_sum(logits, count, &largest[at], &sums[at]);
        offer(best[size_t(row * threads + thread)], size_t(k), logits, count, first);
    });
    for (int64_t row = 0; row < num_rows; ++row) {
        std::vector<Candidate> all;
        for (int64_t t = 0; t < threads; ++t) {
            const auto& own = best[size_t(row * threads + t)];
            all.insert(all.end(), own.begin(), own.end());
        }
        std::sort(all.begin(), all.end());
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
