// Products of packed matrices with activations: every instruction set gives the portable one's bits, for every format,
// ragged rows and columns, any number of tokens, and any range of row blocks.
#include "agree.h"

using namespace gemsmith;
using namespace gemsmith::tests;

namespace {

std::uint16_t half(float x) {  // to float16, for normal numbers
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return static_cast<std::uint16_t>(((bits >> 16) & 0x8000) | ((((bits >> 23) & 255) - 112) << 10) | ((bits >> 13) & 1023));
}

// Bytes of a packed matrix: codes at random, scales as weights have them.
std::vector<std::byte> packed(Random& random, Format format, std::int64_t rows, std::int64_t cols) {
    const std::int64_t nbytes = ceil_div(rows, BLOCK_ROWS) * row_block_bytes(format, cols);
    std::vector<std::byte> out(nbytes);
    const auto put = [&](std::int64_t at, auto value) { std::memcpy(&out[at], &value, sizeof value); };
    if (format == Format::F32) {
        for (std::int64_t i = 0; i < nbytes; i += 4) put(i, random.number());
    } else if (is_float(format)) {
        for (std::int64_t i = 0; i < nbytes; i += 2) {
            const float x = std::copysign(0.01f + std::fabs(random.number()), random.number());
            std::uint32_t bits;
            std::memcpy(&bits, &x, 4);
            put(i, format == Format::F16 ? half(x) : static_cast<std::uint16_t>(bits >> 16));
        }
    } else {
        const std::int64_t codes = format == Format::Q8 ? 1024 : 512;
        for (std::int64_t block = 0; block < nbytes; block += codes + 64) {
            for (std::int64_t i = 0; i < codes; i += 8) put(block + i, random.bits());
            for (std::int64_t i = 0; i < 64; i += 2) put(block + codes + i, half(0.001f + std::fabs(random.number())));
        }
    }
    return out;
}

struct Inputs {
    std::vector<float> values;
    std::vector<std::int8_t> codes;
    std::vector<float> scales;
    std::vector<std::int32_t> sums;
    Activations view;
};

void make_inputs(Random& random, Format format, std::int64_t cols, std::int64_t tokens, Inputs& in) {
    const std::int64_t stride = padded(cols), groups = stride / GROUP;
    in.values = random.numbers(tokens * stride, true);
    in.codes.assign(tokens * stride, 0);
    in.scales.assign(tokens * groups, 0);
    in.sums.assign(tokens * groups, 0);
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t i = 0; i < cols; ++i) {
            const auto code = static_cast<std::int8_t>(random.below(255) - 127);
            in.codes[t * stride + i] = code;
            in.sums[t * groups + i / GROUP] += code;
            in.scales[t * groups + i / GROUP] = 0.01f + 0.001f * static_cast<float>(i / GROUP % 7);
        }
    if (format == Format::Q4)  // whatever it is given is what it subtracts
        for (std::int32_t& sum : in.sums) sum += static_cast<std::int32_t>(random.below(100));
    in.view = {in.values.data(), stride, {in.codes.data(), in.scales.data(), in.sums.data(), stride}};
}

}  // namespace

int main() {
    constexpr Format formats[] = {Format::F32, Format::F16, Format::BF16, Format::Q8, Format::Q4, Format::Q2};
    constexpr const char* names[] = {"F32", "F16", "BF16", "Q8", "Q4", "Q2"};
    Random random(1);
    for (int i = 0; i < 6; ++i)
        for (int round = 0; round < 12; ++round) {
            const std::int64_t rows = 1 + random.below(150), cols = 1 + random.below(400), tokens = 1 + random.below(21);
            const auto bytes = packed(random, formats[i], rows, cols);
            const Matrix matrix{formats[i], rows, cols, bytes.data()};
            Inputs in;
            make_inputs(random, formats[i], cols, tokens, in);
            const std::int64_t stride = BLOCK_ROWS * matrix.num_blocks() + random.below(9);
            const std::int64_t begin = random.below(matrix.num_blocks());
            const std::int64_t end = begin + 1 + random.below(matrix.num_blocks() - begin);
            const std::vector<float> untouched = random.numbers(tokens * stride);
            auto wanted = untouched;
            portable().matmul(matrix, begin, end, in.view, tokens, wanted.data(), stride);
            for (const IsaTable* table : others()) {
                auto found = untouched;
                table->matmul(matrix, begin, end, in.view, tokens, found.data(), stride);
                agree(names[i], table->name, found, wanted, 0);
                for (std::int64_t t = 0; t < tokens; ++t) {  // alone: no token's bits depend on its neighbours
                    auto alone = untouched;
                    const Activations one{in.view.values + t * in.view.stride, in.view.stride, in.view.quantized.row(t)};
                    table->matmul(matrix, begin, end, one, 1, alone.data() + t * stride, stride);
                    const auto from = t * stride, to = t * stride + stride;
                    agree("one token", table->name, {alone.begin() + from, alone.begin() + to},
                          {wanted.begin() + from, wanted.begin() + to}, 0);
                }
            }
        }
    return ended("matmul");
}
