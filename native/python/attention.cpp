// A layer's K/V cache and attention over it, on numpy arrays: for tests and for bench/attention.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <thread>

#include "arrays.h"

namespace nb = nanobind;

namespace gemsmith {

namespace {

using Heads = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Positions = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

KvFormat format_named(const std::string& name) {
    if (name == "f32") return KvFormat::F32;
    if (name == "bf16") return KvFormat::BF16;
    if (name == "q8") return KvFormat::Q8;
    throw std::invalid_argument("keys and values are kept as f32, bf16 or q8, not as '" + name + "'");
}

LayerCache new_cache(const std::string& format, int64_t num_heads, int64_t head_dim, int64_t window, int64_t slack) {
    return LayerCache(format_named(format), num_heads, head_dim, window, slack);
}

void append_all(LayerCache& cache, const std::string& isa, int64_t position, Heads k, Heads v) {
    const int64_t T = int64_t(k.shape(0)), K = cache.num_heads, H = cache.head_dim;
    for (const Heads& x : {k, v})
        if (int64_t(x.shape(0)) != T || int64_t(x.shape(1)) != K || int64_t(x.shape(2)) != H)
            throw std::invalid_argument("keys and values are [tokens][" + std::to_string(K) + "][" + std::to_string(H) + "], both alike");
    const IsaTable& kernels = kernels_of(isa);
    cache.reserve(position, position + T);
    for (int64_t t = 0; t < T; ++t)
        for (int64_t head = 0; head < K; ++head)
            kernels.append(cache, position + t, head, k.data() + (t * K + head) * H, v.data() + (t * K + head) * H);
}

// A call over borrowed arrays; complains of what a kernel would not check.
AttentionCall call_of(const LayerCache& cache, const Heads& q, const Positions& first, const Positions& end, float* out) {
    const int64_t T = int64_t(q.shape(0)), N = int64_t(q.shape(1)), H = cache.head_dim;
    if (int64_t(q.shape(2)) != H || !N || N % cache.num_heads)
        throw std::invalid_argument("queries are [tokens][a multiple of " + std::to_string(cache.num_heads) + "][" + std::to_string(H) + "]");
    if (int64_t(first.shape(0)) != T || int64_t(end.shape(0)) != T)
        throw std::invalid_argument("each of " + std::to_string(T) + " rows has a first position and an end");
    for (int64_t t = 0; t < T; ++t)
        if (first.data()[t] < cache.oldest() || end.data()[t] > cache.length() || first.data()[t] >= end.data()[t])
            throw std::invalid_argument("row " + std::to_string(t) + " sees positions " + std::to_string(first.data()[t]) + " to " +
                                        std::to_string(end.data()[t]) + ", and the cache holds " + std::to_string(cache.oldest()) +
                                        " to " + std::to_string(cache.length()));
    return {&cache, q.data(), N * H, T, N, first.data(), end.data(), out, N * H, nullptr};
}

// Calls one after the other, each by all threads: tasks, a barrier, the merge, a barrier. Seconds of each round.
std::vector<double> run_calls(const IsaTable& kernels, std::vector<AttentionCall> calls, int num_threads, int rounds) {
    int64_t most = 0;
    for (const AttentionCall& call : calls) most = std::max(most, attention_scratch(call));
    const auto scratch = std::make_unique<float[]>(size_t(most));
    for (AttentionCall& call : calls) call.scratch = scratch.get();
    std::atomic<int64_t> next{0};
    std::barrier barrier(num_threads, [&]() noexcept { next = 0; });
    std::vector<double> seconds;
    const auto work = [&](int thread) {
        for (int round = 0; round < rounds; ++round) {
            const auto begin = std::chrono::steady_clock::now();
            for (const AttentionCall& call : calls) {
                for (int64_t task; (task = next++) < attention_tasks(call);) kernels.attend(call, task);
                barrier.arrive_and_wait();
                for (int64_t task; (task = next++) < merge_tasks(call);) kernels.merge(call, task);
                barrier.arrive_and_wait();
            }
            if (!thread) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
    };
    std::vector<std::thread> threads;
    for (int i = 1; i < num_threads; ++i) threads.emplace_back(work, i);
    work(0);
    for (std::thread& thread : threads) thread.join();
    return seconds;
}

nb::object attend(const LayerCache& cache, const std::string& isa, Heads q, Positions first, Positions end, int threads) {
    NewArray<float> out({int64_t(q.shape(0)), int64_t(q.shape(1)), int64_t(q.shape(2))});
    const AttentionCall call = call_of(cache, q, first, end, out.data);
    const IsaTable& kernels = kernels_of(isa);
    if (threads < 1 || threads > 64) throw std::invalid_argument("1 to 64 threads");
    {
        nb::gil_scoped_release released;
        run_calls(kernels, {call}, threads, 1);
    }
    return out.to_numpy();
}

std::vector<double> seconds_of(const std::vector<const LayerCache*>& caches, const std::string& isa, Heads q, Positions first,
                               Positions end, int threads, int rounds) {
    NewArray<float> out({int64_t(q.shape(0)), int64_t(q.shape(1)), int64_t(q.shape(2))});
    std::vector<AttentionCall> calls;
    for (const LayerCache* cache : caches) calls.push_back(call_of(*cache, q, first, end, out.data));
    const IsaTable& kernels = kernels_of(isa);
    if (threads < 1 || threads > 64) throw std::invalid_argument("1 to 64 threads");
    nb::gil_scoped_release released;
    return run_calls(kernels, calls, threads, rounds);
}

nb::tuple shape_of_call(const LayerCache& cache, Heads q, Positions first, Positions end) {
    const AttentionCall call = call_of(cache, q, first, end, nullptr);
    return nb::make_tuple(attention_tasks(call), merge_tasks(call), attention_scratch(call));
}

}  // namespace

}  // namespace gemsmith

void bind_attention(nb::module_& m) {
    using namespace gemsmith;
    using namespace nb::literals;
    nb::class_<LayerCache>(m, "LayerCache", "Keys and values of one layer of one sequence.")
        .def("__init__", [](LayerCache* self, const std::string& format, int64_t num_heads, int64_t head_dim, int64_t window,
                            int64_t slack) { new (self) LayerCache(new_cache(format, num_heads, head_dim, window, slack)); },
             "format"_a, "num_heads"_a, "head_dim"_a, "window"_a = 0, "slack"_a = 0)
        .def("reserve", &LayerCache::reserve, "begin"_a, "end"_a)
        .def("trim", &LayerCache::trim, "length"_a)
        .def("fork", &LayerCache::fork)
        .def_prop_ro("oldest", &LayerCache::oldest)
        .def_prop_ro("length", &LayerCache::length)
        .def_prop_ro("nbytes", &LayerCache::nbytes)
        .def("append", &append_all, "isa"_a, "position"_a, "k"_a, "v"_a, "Reserve, and write keys and values [tokens][heads][head_dim].")
        .def("attend", &attend, "isa"_a, "q"_a, "first"_a, "end"_a, "threads"_a = 1, "Row t over positions first[t] to end[t] - 1.")
        .def("tasks", &shape_of_call, "q"_a, "first"_a, "end"_a, "Numbers of tasks and of merges, and floats of scratch.");
    m.def("attention_seconds", &seconds_of, "caches"_a, "isa"_a, "q"_a, "first"_a, "end"_a, "threads"_a, "rounds"_a,
          "Attention over one cache after the other, as layers do it: seconds of each round.");
}
