// One thread's walk through a program. Every function does this thread's share of one kind of step.
#pragma once

#include "../isa/table.h"
#include "engine.h"

namespace gemsmith {

class Worker {
public:
    Worker(Engine& engine, int thread) : e(engine), k(isa()), thread(thread) {}
    void walk();

private:
    void run(const Step& step);
    int64_t num_rows(const Step& step) const {
        return step.picked || e.selected_ ? e.rows_.wanted.size() : e.rows_.all.size();
    }
    const Rows& rows() const { return e.selected_ ? e.rows_.wanted : e.rows_.all; }
    int64_t row_in_all(int64_t t, bool is_wanted) const { return is_wanted ? e.rows_.wanted_index[size_t(t)] : t; }
    Buffer& buffer(int32_t i) const { return e.buffers_[size_t(i)]; }
    Lane& lane(int32_t i) const { return e.lanes_[size_t(i)]; }
    float* scratch(int64_t floats) const;

    // Row blocks [begin, end) times all rows; `out` is where the first of these blocks goes.
    void multiply(const Matrix& m, int64_t begin, int64_t end, const Activations& x, int64_t rows, float* out,
                  int64_t stride) const {
        k.matmul(m, begin, end, x, rows, out - begin * BLOCK_ROWS, stride);
    }

    // Calls f(begin, end) for this thread's parts of 0 .. total - 1: pieces of `grain`, taken as threads come for them.
    template <typename F>
    void share(int64_t total, int64_t grain, F f);
    // The same for matrices, in pieces of `most` that shrink towards the end, down to `least`, since cores that share a
    // machine are not equally fast at every moment. One row's weights come from memory: there each thread first has a
    // linear stream to itself, most of its share, and what is left goes in pieces of any size.
    template <typename F>
    void share_matrix(int64_t total, int64_t least, int64_t most, bool is_one_row, F f);
    void make_lane(const Step& step, Lane& lane, int64_t row, const float* values, int64_t n) const;
    void put_units(Lane& out, int64_t row, int64_t unit, const float* values, int64_t n, int32_t forms) const;
    void gate_units(Lane& out, int64_t row, int64_t unit, const float* gate, const float* up, int64_t n, int32_t forms) const;

    void embed(const Step&);            // rows.cpp
    void lane_of(const Step&);
    void norm(const Step&);
    void residual(const Step&);
    void per_layer(const Step&);
    void pick(const Step&);
    void select(const Step&);
    void output(const Step&);
    void matmul(const Step&);           // matrices.cpp
    void gated_up(const Step&);
    void per_layer_gate(const Step&);
    void keys(const Step&);             // attend.cpp
    void queries(const Step&);
    void attend(const Step&, bool merging);
    void route(const Step&);            // experts.cpp
    void gather(const Step&);
    void experts_up(const Step&);
    void experts_down(const Step&);
    void experts_residual(const Step&);

    Engine& e;
    const IsaTable& k;
    int thread;
    size_t index = 0;  // of the step at work
};

template <typename F>
void Worker::share(int64_t total, int64_t grain, F f) {
    std::atomic<int64_t>& taken = e.taken_[index];
    for (int64_t begin; (begin = taken.fetch_add(grain, std::memory_order_relaxed)) < total;)
        f(begin, std::min(total, begin + grain));
}

template <typename F>
void Worker::share_matrix(int64_t total, int64_t least, int64_t most, bool is_one_row, F f) {
    const int64_t threads = e.pool_.threads(), own = is_one_row ? total * 3 / (4 * threads) : 0, rest = own * threads;
    if (is_one_row && threads == 1) return f(0, total);
    if (own) f(own * thread, own * (thread + 1));
    std::atomic<int64_t>& taken = e.taken_[index];
    for (int64_t done = taken.load(std::memory_order_relaxed); rest + done < total;) {
        const int64_t left = total - rest - done, share = std::max(least, left / (2 * threads));
        const int64_t piece = std::min(left, is_one_row ? share : std::min(share, most));
        if (!taken.compare_exchange_weak(done, done + piece, std::memory_order_relaxed)) continue;
        f(rest + done, rest + done + piece);
        done = taken.load(std::memory_order_relaxed);
    }
}

}  // namespace gemsmith
