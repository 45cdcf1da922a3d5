// Functions of rows: every instruction set agrees with the portable one to a few units in the last place, codes exactly.
#include "agree.h"

using namespace gemsmith;
using namespace gemsmith::tests;

namespace {

constexpr float CLOSE = 1e-6f;
constexpr std::int64_t LENGTHS[] = {1, 7, 16, 31, 32, 33, 64, 100, 255, 256, 512, 1000, 1536, 2048, 6145};

void compare_quantized(const IsaTable& table, const std::vector<float>& x) {
    const auto n = static_cast<std::int64_t>(x.size()), stride = padded(n), groups = stride / GROUP;
    const auto run = [&](const IsaTable& with) {
        std::vector<std::int8_t> codes(stride, 99);
        std::vector<float> scales(groups, 99.0f), all;
        std::vector<std::int32_t> sums(groups, 99);
        with.quantize_row(x.data(), n, {codes.data(), scales.data(), sums.data(), stride});
        for (const auto code : codes) all.push_back(code);
        for (const auto sum : sums) all.push_back(static_cast<float>(sum));
        all.insert(all.end(), scales.begin(), scales.end());
        return all;
    };
    agree("quantize_row", table.name, run(table), run(portable()), 0);
}

template <class Run>
void compare(const char* what, const IsaTable& table, const Run& run, float tolerance = CLOSE) {
    agree(what, table.name, run(table), run(portable()), tolerance);
}

}  // namespace

int main() {
    Random random(2);
    for (const std::int64_t n : LENGTHS)
        for (const IsaTable* table : others()) {
            const auto x = random.numbers(n, true), y = random.numbers(n, true), weight = random.numbers(n);
            compare_quantized(*table, x);
            compare_quantized(*table, std::vector<float>(n));
            for (const float* by : {weight.data(), static_cast<const float*>(nullptr)}) {
                compare("rms_norm", *table, [&](const IsaTable& with) {
                    std::vector<float> out(n);
                    with.rms_norm(x.data(), by, 1e-6f, n, out.data());
                    return out;
                });
                compare("rms_norm in place", *table, [&](const IsaTable& with) {
                    auto out = x;
                    with.rms_norm(out.data(), by, 1e-6f, n, out.data());
                    return out;
                });
            }
            compare("add_rms_norm", *table, [&](const IsaTable& with) {
                auto out = x;
                with.add_rms_norm(out.data(), y.data(), weight.data(), 1e-6f, n);
                return out;
            });
            compare("gelu_gate", *table, [&](const IsaTable& with) {
                std::vector<float> out(n);
                with.gelu_gate(x.data(), y.data(), n, out.data());
                return out;
            });
            compare("softcap", *table, [&](const IsaTable& with) {
                auto out = x;
                with.softcap(out.data(), n, 30.0f);
                return out;
            });
            compare("max_and_sum", *table, [&](const IsaTable& with) {
                std::vector<float> out(2);
                with.max_and_sum(x.data(), n, &out[0], &out[1]);
                return out;
            });
            const std::int64_t half = n / 2, pairs = half ? 1 + random.below(half) : 0;
            if (!pairs) continue;
            compare("rope", *table, [&](const IsaTable& with) {
                auto out = x;
                with.rope(out.data(), y.data(), weight.data(), pairs, half);
                return out;
            });
        }
    return ended("rows");
}
