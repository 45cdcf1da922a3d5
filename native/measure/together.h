// Threads that begin together, for measuring: no pool, since what is measured takes far longer than starting a thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace gemsmith {

inline void check_threads(int num_threads) {
    if (num_threads < 1) throw std::invalid_argument("at least 1 thread can be measured, not " + std::to_string(num_threads));
}

// Seconds from when `num_threads` threads were let go until the last of them had done `work(thread)`.
template <class Work>
double seconds_together(int num_threads, const Work& work) {
    using Clock = std::chrono::steady_clock;
    check_threads(num_threads);
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<Clock::time_point> ends(num_threads);
    const auto body = [&](int thread) {
        ready.fetch_add(1);
        while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
        work(thread);
        ends[thread] = Clock::now();
    };
    std::vector<std::thread> others;
    others.reserve(num_threads);
    try {
        for (int thread = 1; thread < num_threads; ++thread) others.emplace_back(body, thread);
    } catch (...) {  // the system starts no more threads: those that wait must not wait for ever
        go = true;
        for (auto& other : others) other.join();
        throw;
    }
    while (ready.load() < num_threads - 1) std::this_thread::yield();
    const auto start = Clock::now();
    go.store(true, std::memory_order_release);
    body(0);
    for (auto& other : others) other.join();
    return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) - start).count();
}

}  // namespace gemsmith
