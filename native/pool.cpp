#include "pool.h"

#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>

namespace gemsmith {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto SPIN = std::chrono::microseconds(50);    // on the core, for a change that is due
constexpr auto YIELD = std::chrono::microseconds(150);  // from the start, letting others have the core
constexpr int PAUSES = 64;                              // between two looks at the clock: about 1 to 3 us

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");  // `yield` is nothing on most cores; this waits for about as long as a pause
#endif
}

}  // namespace

Pool::Pool(int threads)
    : num_threads_(threads), may_spin_(threads <= default_threads()), process_(getpid()) {
    if (threads < 1) throw std::invalid_argument("a pool needs at least 1 thread, not " + std::to_string(threads));
    workers_.reserve(static_cast<size_t>(threads - 1));
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

Pool::~Pool() {
    if (getpid() != process_) {  // a forked child: the threads are not here to be joined
        for (std::thread& each : workers_) each.detach();
        return;
    }
    is_ending_ = true;
    raise(run_);
    for (std::thread& each : workers_) each.join();
}

void Pool::run_erased(Function function, void* argument) {
    if (num_threads_ > 1 && getpid() != process_)
        throw std::runtime_error("this pool of threads belongs to process " + std::to_string(process_) +
                                 ", and this is a fork of it without those threads; load the model after forking");
    const std::lock_guard<std::mutex> lock(one_run_);
    if (num_threads_ == 1) return function(argument, 0);
    function_ = function;
    argument_ = argument;
    raise(run_);
    function(argument, 0);
    barrier();
}

void Pool::work(int thread) {
    for (uint32_t seen = 0;; ++seen) {
        wait(run_, seen);
        if (is_ending_) return;
        function_(argument_, thread);
        barrier();
    }
}

void Pool::barrier() {
    if (num_threads_ == 1) return;
    const uint32_t phase = phase_.value.load(std::memory_order_relaxed);  // cannot change before this thread arrives
    if (num_arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == num_threads_) {
        num_arrived_.store(0, std::memory_order_relaxed);
        raise(phase_);
    } else {
        wait(phase_, phase);
    }
}

// Either this sees the sleeper's count, or the sleeper, who counts itself first, sees the new value: both use the one
// order of all sequentially consistent operations.
void Pool::raise(Signal& signal) {
    signal.value.fetch_add(1, std::memory_order_seq_cst);
    if (num_sleeping_.load(std::memory_order_seq_cst) == 0) return;
    { const std::lock_guard<std::mutex> lock(sleep_); }
    wake_.notify_all();
}

void Pool::wait(const Signal& signal, uint32_t old) {
    const auto changed = [&] { return signal.value.load(std::memory_order_acquire) != old; };
    if (changed()) return;
    const auto start = Clock::now();
    for (auto waited = Clock::duration::zero(); waited < YIELD; waited = Clock::now() - start) {
        const bool spins = may_spin_ && waited < SPIN;
        for (int i = 0; i < (spins ? PAUSES : 1); ++i) {
            if (changed()) return;
            pause();
        }
        if (!spins) std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(sleep_);
    num_sleeping_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return signal.value.load(std::memory_order_seq_cst) != old; });
    num_sleeping_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace gemsmith
