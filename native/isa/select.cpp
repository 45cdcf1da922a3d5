// Which instruction set is used: the best one that is compiled in and that the processor and the system both support,
// or the one that GEMSMITH_ISA names. The environment is read once, at the first question.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "table.h"

#if defined(GEMSMITH_HAS_NEON) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace gemsmith {

namespace portable { extern const IsaTable table; }
#ifdef GEMSMITH_HAS_AVX2
namespace avx2 { extern const IsaTable table; }
#endif
#ifdef GEMSMITH_HAS_AVX512
namespace avx512 { extern const IsaTable table; }
#endif
#ifdef GEMSMITH_HAS_AVX512_BF16
namespace avx512_bf16 { void take_attention(IsaTable& table); }
#endif
#ifdef GEMSMITH_HAS_NEON
namespace neon { extern const IsaTable table; }
#endif

namespace {

bool always() { return true; }

// __builtin_cpu_supports asks cpuid, and xgetbv whether the system saves the wide registers.
#ifdef GEMSMITH_HAS_AVX2
bool has_avx2() {
    __builtin_cpu_init();
    // F16C came before AVX2 in every processor that has AVX2; gcc 10 and clang 14 do not know its name here
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#ifdef GEMSMITH_HAS_AVX512
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif
#ifdef GEMSMITH_HAS_NEON
bool has_neon() {
#ifdef __linux__
    constexpr unsigned long wanted = HWCAP_ASIMDDP | HWCAP_ASIMDHP;
    return (getauxval(AT_HWCAP) & wanted) == wanted;
#else
    return true;  // every 64-bit Apple processor that runs a current system has both
#endif
}
#endif

template <const IsaTable& T>
const IsaTable& same() { return T; }

#ifdef GEMSMITH_HAS_AVX512
// With the processor's bfloat16 in attention, where it has it.
const IsaTable& avx512_table() {
#ifdef GEMSMITH_HAS_AVX512_BF16
    static const IsaTable with_bf16 = [] {
        IsaTable table = avx512::table;
        avx512_bf16::take_attention(table);
        return table;
    }();
    if (__builtin_cpu_supports("avx512bf16")) return with_bf16;
#endif
    return avx512::table;
}
#endif

struct Candidate {
    const IsaTable& (*table)();
    bool (*is_supported)();
};

// Best first.
constexpr Candidate CANDIDATES[] = {
#ifdef GEMSMITH_HAS_AVX512
    {avx512_table, has_avx512},
#endif
#ifdef GEMSMITH_HAS_AVX2
    {same<avx2::table>, has_avx2},
#endif
#ifdef GEMSMITH_HAS_NEON
    {same<neon::table>, has_neon},
#endif
    {same<portable::table>, always},
};

std::string names() {
    std::string all;
    for (const char* name : isa_names()) all += (all.empty() ? "" : ", ") + std::string(name);
    return all;
}

const IsaTable& chosen() {
    const char* wanted = std::getenv("GEMSMITH_ISA");
    if (!wanted || !*wanted) return *isa_named(isa_names().front());
    if (const IsaTable* table = isa_named(wanted)) return *table;
    throw std::invalid_argument("GEMSMITH_ISA asks for '" + std::string(wanted) +
                                "', which this processor or this build does not have; it has: " + names() +
                                ". Unset GEMSMITH_ISA to use the best of them");
}

}  // namespace

const IsaTable& isa() {
    static const IsaTable& table = chosen();
    return table;
}

const IsaTable* isa_named(std::string_view name) {
    for (const Candidate& each : CANDIDATES)
        if (each.is_supported() && name == each.table().name) return &each.table();
    return nullptr;
}

std::vector<const char*> isa_names() {
    std::vector<const char*> names;
    for (const Candidate& each : CANDIDATES)
        if (each.is_supported()) names.push_back(each.table().name);
    return names;
}

}  // namespace gemsmith
