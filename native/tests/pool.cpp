// The thread pool under stress: every thread runs once a run, barriers hold everybody and publish what was written,
// whatever the number of threads is beside the number of cores, and also after the workers have gone to sleep.
#include "pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>

using gemsmith::Pool;

namespace {

int num_checked = 0, num_failed = 0;

void check(bool holds, const std::string& what) {
    ++num_checked;
    if (holds) return;
    ++num_failed;
    std::printf("%s\n", what.c_str());
}

// One number a thread, plain memory: each adds its neighbour's of the step before, so a thread that is let through too
// early, or does not see what was written, changes the sum. ThreadSanitizer sees it even where the sum is right.
void neighbours(int threads, int num_runs, int num_steps) {
    Pool pool(threads);
    std::vector<uint64_t> now(threads), next(threads);
    std::iota(now.begin(), now.end(), 1);
    std::vector<uint64_t> wanted = now;
    for (int run = 0; run < num_runs; ++run) {
        pool.run([&](int thread) {
            for (int step = 0; step < num_steps; ++step) {
                next[thread] = now[thread] + 3 * now[(thread + 1) % threads];
                pool.barrier();
                now[thread] = next[thread];
                pool.barrier();
            }
        });
        for (int step = 0; step < num_steps; ++step) {
            std::vector<uint64_t> after(threads);
            for (int i = 0; i < threads; ++i) after[i] = wanted[i] + 3 * wanted[(i + 1) % threads];
            wanted = after;
        }
        if (run % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // long enough to fall asleep
    }
    check(now == wanted, std::to_string(threads) + " threads lost a step");
}

// Threads that arrive late: the others sleep at the barrier.
void late(int threads) {
    Pool pool(threads);
    std::vector<int> arrived(threads);
    bool all_there = true;
    for (int run = 0; run < 2 * threads; ++run)
        pool.run([&](int thread) {
            if (thread == run % threads) std::this_thread::sleep_for(std::chrono::milliseconds(2));
            arrived[thread] = run + 1;
            pool.barrier();
            for (int i = 0; i < threads; ++i)
                if (arrived[i] != run + 1) all_there = false;
            pool.barrier();
        });
    check(all_there, "a barrier did not wait for a late thread");
}

// Runs from several threads take turns.
void two_callers(int threads) {
    Pool pool(threads);
    int inside = 0, total = 0;  // touched by thread 0 of whichever run it is
    const auto call = [&] {
        for (int i = 0; i < 200; ++i)
            pool.run([&](int thread) {
                if (thread == 0) total += ++inside;
                pool.barrier();
                if (thread == 0) --inside;
            });
    };
    std::thread other(call);
    call();
    other.join();
    check(total == 400, "two runs were inside the pool at once");
}

void made_and_ended() {
    for (int i = 0; i < 100; ++i) {
        Pool pool(1 + i % 4);
        int ran = 0;
        if (i % 3) pool.run([&](int thread) { if (thread == 0) ++ran; });
        check(ran == (i % 3 ? 1 : 0), "a new pool did not run");
    }
}

bool refuses(int threads) {
    try {
        Pool pool(threads);
        return false;
    } catch (const std::invalid_argument&) {
        return true;
    }
}

// A fork has none of the threads: it is told so, and does not wait for ever.
void forked() {
    Pool pool(2);
    pool.run([](int) {});
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        try {
            pool.run([](int) {});
        } catch (const std::runtime_error&) {
            _exit(0);
        }
        _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child used threads that it does not have");
}

// A fork takes its copy of a pool down while the threads of the original sleep.
void ended_in_a_fork() {
    auto pool = std::make_unique<Pool>(4);
    pool->run([](int) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // they have gone to sleep
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        pool.reset();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child waited for threads that it does not have");
    pool->run([](int) {});
}

}  // namespace

// The argument makes it shorter or longer.
int main(int count, char** arguments) {
    const int num_runs = count > 1 ? std::atoi(arguments[1]) : 300;
    for (int threads : {1, 2, 3, 4, 8}) {
        neighbours(threads, num_runs, 10);
        late(threads);
        two_callers(threads);
    }
    made_and_ended();
    forked();
    ended_in_a_fork();
    check(refuses(0) && refuses(-1), "a pool without threads was made");
    std::printf("pool: %d checks, %d failed\n", num_checked, num_failed);
    return num_failed != 0;
}
