// What the programs here share: random numbers that are the same everywhere, a comparison, and a walk over the
// instruction sets that this processor has.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "isa/table.h"

namespace gemsmith::tests {

// splitmix64: the standard library's distributions differ between libraries
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n)); }
    // between -1 and 1, and now and then up to a thousand times that: activations have outliers
    float number(bool outliers = false) {
        const float x = static_cast<float>(static_cast<std::int64_t>(bits() >> 39) - (1 << 24)) / (1 << 24);
        return outliers && below(64) == 0 ? x * 1000 : x;
    }
    std::vector<float> numbers(std::int64_t n, bool outliers = false) {
        std::vector<float> out(n);
        for (float& x : out) x = number(outliers);
        return out;
    }

private:
    std::uint64_t state_;
};

inline int num_failed = 0, num_compared = 0;

// Whether two arrays agree to `tolerance` of the larger of 1 and the wanted number; 0: the same bits.
inline void agree(const char* what, const char* isa, const std::vector<float>& found, const std::vector<float>& wanted,
                  float tolerance) {
    ++num_compared;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const bool same = std::memcmp(&found[i], &wanted[i], sizeof(float)) == 0;
        const bool close = std::fabs(found[i] - wanted[i]) <= tolerance * std::fmax(1.0f, std::fabs(wanted[i]));
        if (same || (tolerance > 0 && close)) continue;
        std::printf("%s, %s: element %zu of %zu is %.9g, wanted %.9g\n", what, isa, i, wanted.size(),
                    static_cast<double>(found[i]), static_cast<double>(wanted[i]));
        ++num_failed;
        return;
    }
}

inline const IsaTable& portable() { return *isa_named("portable"); }

// Every set but the portable one, which is what they are held against; itself where there is no other, so that at
// least sanitizers see it at work.
inline std::vector<const IsaTable*> others() {
    std::vector<const IsaTable*> tables;
    for (const char* name : isa_names())
        if (std::strcmp(name, "portable") != 0) tables.push_back(isa_named(name));
    if (tables.empty()) tables.push_back(&portable());
    return tables;
}

// The exit status; says what was held against what.
inline int ended(const char* part) {
    std::printf("%s:", part);
    for (const char* name : isa_names()) std::printf(" %s", name);
    std::printf(": %d comparisons, %d failed\n", num_compared, num_failed);
    return num_failed || !num_compared;
}

}  // namespace gemsmith::tests
