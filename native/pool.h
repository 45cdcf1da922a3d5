// Threads that work together: one call runs a function on all of them at once, and inside it they meet at barriers.
//
// A token is some hundreds of steps of tens of microseconds, so who waits spins first, and only then sleeps: a sleep
// and its wake-up cost more than most waits. Spinning is short, gives way to others (yield) before it ends, and is left
// out where there are more threads than cores, since then the one waited for needs the core.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace gemsmith {

// Cores that this process may use: its affinity, and the quota of its cgroups, rounded down. At least 1. See cores.cpp.
int default_threads();

class Pool {
public:
    // At least 1; the caller of `run` is one of them. std::runtime_error where the system does not start so many.
    explicit Pool(int threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int threads() const { return num_threads_; }

    // f(thread) for thread 0 .. threads() - 1, all at the same time; the caller is thread 0. Returns when all have.
    // f must not throw. Calls from several threads wait for one another. Throws std::runtime_error in a forked child,
    // which has none of the threads.
    template <class F>
    void run(F&& f) {
        run_erased([](void* function, int thread) { (*static_cast<std::remove_reference_t<F>*>(function))(thread); },
                   const_cast<void*>(static_cast<const void*>(&f)));
    }

    // Inside a run: nobody goes on until all threads are here. What one wrote before it, all see after it.
    void barrier();

private:
    using Function = void (*)(void*, int);

    // A number that grows, and that threads wait to see changed.
    struct alignas(64) Signal {
        std::atomic<uint32_t> value{0};
    };

    // What the threads share. A fork leaves its copy alone: a condition variable's end waits for those who sleep on it.
    struct Shared {
        Function function = nullptr;
        void* argument = nullptr;
        bool is_ending = false;
        Signal run;    // grows with each run
        Signal phase;  // grows with each barrier
        alignas(64) std::atomic<int> num_arrived{0};
        alignas(64) std::atomic<int> num_sleeping{0};
        std::mutex sleep, one_run;
        std::condition_variable wake;
        std::vector<std::thread> workers;
    };

    void run_erased(Function function, void* argument);
    void work(int thread);
    void end();
    void raise(Signal& signal);
    void wait(const Signal& signal, uint32_t old);

    const int num_threads_;
    const bool may_spin_;
    const int64_t process_;
    std::unique_ptr<Shared> shared_;
};

}  // namespace gemsmith
