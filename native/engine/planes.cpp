#include "planes.h"

#include <algorithm>
#include <cstring>

#include "../isa/table.h"
#include "unpack.h"

namespace gemsmith {

namespace {

constexpr int64_t UPPER_CODES = 512, UPPER_BLOCK = UPPER_CODES + 64, Q8_CODES = 1024, Q8_BLOCK = Q8_CODES + 64, PAIRS = 4;
constexpr uint32_t LOW = 0x0f0f0f0f, HIGH = 0xf0f0f0f0;

uint32_t load32(const std::byte* at) {
    uint32_t bytes;
    std::memcpy(&bytes, at, 4);
    return bytes;
}

void store32(std::byte* at, uint32_t bytes) { std::memcpy(at, &bytes, 4); }

// Where the four codes of a quad of this row stand in a vector's half, as types.h says.
int64_t in_block(int64_t row) { return 64 * (row / 16) + 4 * (row % 16); }

}  // namespace

Planes::Group Planes::group(int64_t row, int64_t g) const {
    const std::byte* block = upper.data + (row / BLOCK_ROWS * groups_ + g) * UPPER_BLOCK;
    const int64_t r = row % BLOCK_ROWS;
    return {block + in_block(r), lower_ + (row / BLOCK_ROWS * groups_ + g) * UPPER_CODES + in_block(r),
            block + UPPER_CODES + 2 * r};
}

void Planes::join(const int64_t* rows, std::byte* block) const {
    for (int64_t i = 0; i < BLOCK_ROWS; ++i)
        for (int64_t g = 0; g < groups_; ++g) {
            const Group from = group(rows[i], g);
            std::byte* to = block + g * Q8_BLOCK;
            for (int64_t pair = 0; pair < PAIRS; ++pair) {
                const uint32_t above = load32(from.upper + 128 * pair), below = load32(from.lower + 128 * pair);
                store32(to + 256 * pair + in_block(i), (above & LOW) << 4 | (below & LOW));
                store32(to + 256 * pair + 128 + in_block(i), (above & HIGH) | (below >> 4 & LOW));
            }
            std::memcpy(to + Q8_CODES + 2 * i, from.scale, 2);
        }
}

void Planes::join_block(int64_t row_block, std::byte* block) const {
    const Group first = group(row_block * BLOCK_ROWS, 0);
    for (int64_t g = 0; g < groups_; ++g) isa().join(first.upper + g * UPPER_BLOCK, first.lower + g * UPPER_CODES, block + g * Q8_BLOCK);
}

void Planes::digits(int64_t row_block, Digits* out) const {
    uint16_t largest[BLOCK_ROWS] = {}, scales[BLOCK_ROWS];
    for (int64_t g = 0; g < groups_; ++g) {
        std::memcpy(scales, group(row_block * BLOCK_ROWS, g).scale, sizeof scales);
        for (int64_t r = 0; r < BLOCK_ROWS; ++r)  // without their signs, floats are ordered as their bits are
            largest[r] = std::max(largest[r], uint16_t(scales[r] & 0x7fff));
    }
    for (int64_t r = 0; r < BLOCK_ROWS; ++r) {
        float known[2];
        std::memcpy(known, digits_ + (row_block * BLOCK_ROWS + r) * int64_t(sizeof known), sizeof known);
        const float scale = half_to_float(largest[r]);
        out[r] = {scale, scale * known[0], scale * known[1]};
    }
}

void Planes::unpack(int64_t row, float* out) const {
    for (int64_t g = 0; g < groups_; ++g) {
        const Group from = group(row, g);
        uint16_t bits;
        std::memcpy(&bits, from.scale, 2);
        const float scale = half_to_float(bits);
        for (int64_t c = 0; c < std::min(GROUP, upper.cols - g * GROUP); ++c) {
            const int shift = c % 8 < 4 ? 0 : 4;
            const int above = int(from.upper[128 * (c / 8) + c % 4] >> shift & std::byte{15});
            const int below = int(from.lower[128 * (c / 8) + c % 4] >> shift & std::byte{15});
            out[g * GROUP + c] = float(16 * above + below - 128) * scale;
        }
    }
}

}  // namespace gemsmith
