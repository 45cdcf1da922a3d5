#include "arithmetic.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "together.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace gemsmith {
namespace {

// A loop does `rounds` times one dot product into each of its accumulators, and returns their sum, so that nothing can
// be left out. The accumulators are as many as it takes to hide one instruction's latency (4 to 10 cycles) on every
// port that has it, and as fit into registers. Operands pass through an empty asm statement in each round: what the
// compiler cannot know to be the same it cannot compute once.
struct Loop {
    const char* name;
    std::int64_t ops_per_round;
    std::int64_t (*run)(std::int64_t rounds);
};

#if defined(__x86_64__)
constexpr int WIDE = 20;    // of 32 registers
constexpr int NARROW = 10;  // of 16; a product through 16 bits needs one more each

template <std::size_t N>
std::int64_t total_of(const std::int32_t (&lanes)[N]) {
    return std::accumulate(lanes, lanes + N, std::int64_t{0});
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) std::int64_t run_avx512(std::int64_t rounds) {
    __m512i sums[WIDE];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    __m512i codes = _mm512_set1_epi8(3), values = _mm512_set1_epi8(-1);
    for (std::int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(codes), "+v"(values));
#pragma GCC unroll 20
        for (int j = 0; j < WIDE; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], codes, values);
    }
    for (int j = 1; j < WIDE; ++j) sums[0] = _mm512_add_epi32(sums[0], sums[j]);
    alignas(64) std::int32_t lanes[16];
    _mm512_store_si512(lanes, sums[0]);
    return total_of(lanes);
}

__attribute__((target("avx2"))) std::int64_t run_avx2(std::int64_t rounds) {
    __m256i sums[NARROW];
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    __m256i codes = _mm256_set1_epi8(3), values = _mm256_set1_epi8(-1), ones = _mm256_set1_epi16(1);
    for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 10
        for (int j = 0; j < NARROW; ++j) {
            asm volatile("" : "+x"(codes), "+x"(values));
            const __m256i pairs = _mm256_maddubs_epi16(codes, values);
            sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (int j = 1; j < NARROW; ++j) sums[0] = _mm256_add_epi32(sums[0], sums[j]);
    alignas(32) std::int32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums[0]);
    return total_of(lanes);
}
#elif defined(__aarch64__)
constexpr int WIDE = 20;  // of 32 registers

// clang spells the feature without the architecture's own "+"
#if defined(__clang__)
__attribute__((target("dotprod")))
#else
__attribute__((target("arch=armv8.2-a+dotprod")))
#endif
std::int64_t run_dotprod(std::int64_t rounds) {
    int32x4_t sums[WIDE];
    for (auto& sum : sums) sum = vdupq_n_s32(0);
    int8x16_t codes = vdupq_n_s8(3), values = vdupq_n_s8(-1);
    for (std::int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+w"(codes), "+w"(values));
#pragma GCC unroll 20
        for (int j = 0; j < WIDE; ++j) sums[j] = vdotq_s32(sums[j], codes, values);
    }
    std::int64_t total = 0;
    for (const auto& sum : sums) total += vaddvq_s32(sum);
    return total;
}
#endif

// What a compiler makes of plain C++: for processors without any of the above.
constexpr int LENGTH = 4096;  // fits into the first cache

std::int64_t run_portable(std::int64_t rounds) {
    alignas(64) static std::int8_t codes[LENGTH];  // all zeros: no value makes an integer product faster
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < rounds; ++i) {
        const std::int8_t* a = codes;
        const std::int8_t* b = codes;
        asm volatile("" : "+r"(a), "+r"(b));
        std::int32_t sum = 0;
        for (int j = 0; j < LENGTH; ++j) sum += a[j] * b[j];
        total += sum;
    }
    return total;
}

#if defined(__aarch64__)
bool has_dotprod() {
#if defined(__linux__)
    constexpr unsigned long ASIMDDP = 1ul << 20;  // HWCAP_ASIMDDP
    return getauxval(AT_HWCAP) & ASIMDDP;
#else
    return true;  // every Apple processor
#endif
}
#endif

Loop widest_loop() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"))
        return {"avx512-vnni", 2 * 64 * WIDE, run_avx512};
    if (__builtin_cpu_supports("avx2")) return {"avx2", 2 * 32 * NARROW, run_avx2};
#elif defined(__aarch64__)
    if (has_dotprod()) return {"neon-dotprod", 2 * 16 * WIDE, run_dotprod};
#endif
    return {"portable", 2 * LENGTH, run_portable};
}

}  // namespace

double int8_ops_per_s(int num_threads, double seconds, int repeats) {
    const Loop loop = widest_loop();
    std::atomic<std::int64_t> sink{0};
    const auto timed = [&](std::int64_t rounds) {
        return seconds_together(num_threads, [&](int) { sink.fetch_add(loop.run(rounds), std::memory_order_relaxed); });
    };
    std::int64_t rounds = 1024;
    double taken = timed(rounds);
    while (taken < seconds / 4 && rounds < (std::int64_t{1} << 40)) taken = timed(rounds *= 2);
    rounds = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(rounds) * seconds / taken));

    double best = 0;
    for (int i = 0; i < repeats; ++i) {
        const double ops = static_cast<double>(loop.ops_per_round) * static_cast<double>(rounds) * num_threads;
        best = std::max(best, ops / timed(rounds));
    }
    return best;
}

const char* int8_instruction() { return widest_loop().name; }

}  // namespace gemsmith
