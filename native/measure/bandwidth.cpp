#include "bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

#include "together.h"

namespace gemsmith {
namespace {

constexpr std::size_t LINE = 64;          // bytes of a cache line, and of the widest vector
constexpr std::size_t PAGE = 2ul << 20;  // of a huge page

typedef std::uint64_t u64x8 __attribute__((vector_size(64), aligned(64)));

// Anonymous memory that starts at a huge page's edge.
class Buffer {
public:
    explicit Buffer(std::size_t nbytes) : mapped_(nbytes + PAGE) {
        base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base_ == MAP_FAILED) throw std::bad_alloc();
        const auto edge = (reinterpret_cast<std::uintptr_t>(base_) + PAGE - 1) / PAGE * PAGE;
        data = reinterpret_cast<std::byte*>(edge);
#ifdef MADV_HUGEPAGE
        madvise(data, nbytes, MADV_HUGEPAGE);  // advice: where it is not taken, reading is some 10 % slower
#endif
    }
    ~Buffer() { munmap(base_, mapped_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    std::byte* data;

private:
    void* base_;
    std::size_t mapped_;
};

// Every line once, in order; four accumulators, so that no load waits for an addition. The same lines for every
// instruction set: the compiler lowers a vector of 64 bytes to what the target has.
#define GEMSMITH_READ_LINES                                      \
    u64x8 sums[4] = {};                                          \
    const auto* lines = reinterpret_cast<const u64x8*>(data);    \
    for (std::size_t i = 0; i < nbytes / LINE; i += 4) {         \
        for (int j = 0; j < 4; ++j) sums[j] += lines[i + j];     \
    }                                                            \
    const u64x8 sum = sums[0] + sums[1] + (sums[2] + sums[3]);   \
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];

#if defined(__x86_64__)
__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* data, std::size_t nbytes) {
    GEMSMITH_READ_LINES
}
__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* data, std::size_t nbytes) {
    GEMSMITH_READ_LINES
}
#endif
std::uint64_t read_portable(const std::byte* data, std::size_t nbytes) { GEMSMITH_READ_LINES }

using Read = std::uint64_t (*)(const std::byte*, std::size_t);

Read widest_read() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return read_avx512;
    if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
    return read_portable;
}

}  // namespace

double read_bytes_per_s(int num_threads, std::size_t nbytes, int repeats) {
    check_threads(num_threads);
    const std::size_t share = std::max(nbytes / num_threads / PAGE, std::size_t{1}) * PAGE;  // of one thread
    Buffer buffer(share * num_threads);
    // a page that was never written is the one page of zeros, and stays in the cache: each thread writes its own
    seconds_together(num_threads, [&](int thread) { std::memset(buffer.data + thread * share, thread + 1, share); });

    const Read read = widest_read();
    std::atomic<std::uint64_t> sink{0};  // a sum that is stored cannot be left out
    double best = 0;
    for (int i = 0; i < repeats; ++i) {
        const double seconds = seconds_together(num_threads, [&](int thread) {
            sink.fetch_add(read(buffer.data + thread * share, share), std::memory_order_relaxed);
        });
        best = std::max(best, static_cast<double>(share * num_threads) / seconds);
    }
    return best;
}

}  // namespace gemsmith
