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
    : num_threads_(threads), may_spin_(threads <= default_threads()), process_(getpid()),
      shared_(std::make_unique<Shared>()) {
    if (threads < 1) throw std::invalid_argument("a pool needs at least 1 thread, not " + std::to_string(threads));
    std::vector<std::thread>& workers = shared_->workers;
    try {
        workers.reserve(static_cast<size_t>(threads - 1));
        for (int i = 1; i < threads; ++i) workers.emplace_back([this, i] { work(i); });
    } catch (const std::exception& cause) {
        const size_t started = workers.size() + 1;
        end();
        throw std::runtime_error("of " + std::to_string(threads) + " threads the system started " +
                                 std::to_string(started) + " (" + cause.what() + ")");
    }
}

Pool::~Pool() {
    if (getpid() == process_)
        end();
    else  // a forked child: the threads are not here, neither to be joined nor woken
        static_cast<void>(shared_.release());
}

void Pool::end() {
    shared_->is_ending = true;
    raise(shared_->run);
    for (std::thread& each : shared_->workers) each.join();
}

void Pool::run_erased(Function function, void* argument) {
    if (num_threads_ > 1 && getpid() != process_)
        throw std::runtime_error("this pool of threads belongs to process " + std::to_string(process_) +
                                 ", and this is a fork of it without those threads; load the model after forking");
    const std::lock_guard<std::mutex> lock(shared_->one_run);
    if (num_threads_ == 1) return function(argument, 0);
    shared_->function = function;
    shared_->argument = argument;
    raise(shared_->run);
    function(argument, 0);
    barrier();
}

void Pool::work(int thread) {
    for (uint32_t seen = 0;; ++seen) {
        wait(shared_->run, seen);
        if (shared_->is_ending) return;
        shared_->function(shared_->argument, thread);
        barrier();
    }
}

void Pool::barrier() {
    if (num_threads_ == 1) return;
    const uint32_t phase = shared_->phase.value.load(std::memory_order_relaxed);  // cannot change before this thread arrives
    if (shared_->num_arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == num_threads_) {
        shared_->num_arrived.store(0, std::memory_order_relaxed);
        raise(shared_->phase);
    } else {
        wait(shared_->phase, phase);
    }
}

// Either this sees the sleeper's count, or the sleeper, who counts itself first, sees the new value: both use the one
// order of all sequentially consistent operations.
void Pool::raise(Signal& signal) {
    signal.value.fetch_add(1, std::memory_order_seq_cst);
    if (shared_->num_sleeping.load(std::memory_order_seq_cst) == 0) return;
    { const std::lock_guard<std::mutex> lock(shared_->sleep); }
    shared_->wake.notify_all();
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
    std::unique_lock<std::mutex> lock(shared_->sleep);
    shared_->num_sleeping.fetch_add(1, std::memory_order_seq_cst);
    shared_->wake.wait(lock, [&] { return signal.value.load(std::memory_order_seq_cst) != old; });
    shared_->num_sleeping.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace gemsmith
