// How keys and values stand in a page of 64 positions. Each K/V head has its bytes to itself: keys, values, scales (Q8).
//
// Both stand in blocks of 32 lanes by pairs, each block one linear stream: what a kernel multiplies is a pair of
// neighbours in every lane, with the same pair of weights in all of them, so no sum ever runs across lanes.
//   keys    2 blocks of 32 positions;            pairs are dimensions 2i, 2i + 1 of the head
//   values  a block for every 32 dimensions;     pairs are positions 2i, 2i + 1 of the page
// A pair of a block is two halves of 16 lanes:
//   F32   [2 of the pair][16 lanes] floats    BF16  [16 lanes][2 of the pair]    Q8  [16 lanes][2 of the pair] int8
// Q8 has a float scale per position for keys and another for values: value = code * scale.
#pragma once

#include "cache.h"

namespace gemsmith {

constexpr int64_t BLOCK_LANES = 32;
constexpr int64_t MAX_HEAD_DIM = 512;

// Bytes of 16 lanes of a pair; a block's next pair comes twice as far.
constexpr int64_t half_bytes(KvFormat f) { return f == KvFormat::F32 ? 128 : f == KvFormat::BF16 ? 64 : 32; }
constexpr int64_t pair_bytes(KvFormat f) { return 2 * half_bytes(f); }

constexpr int64_t key_block_bytes(KvFormat f, int64_t head_dim) { return head_dim / 2 * pair_bytes(f); }
constexpr int64_t value_block_bytes(KvFormat f) { return PAGE / 2 * pair_bytes(f); }
constexpr int64_t num_value_blocks(int64_t head_dim) { return (head_dim + BLOCK_LANES - 1) / BLOCK_LANES; }

// Where a head's values and scales begin, and how many bytes it has; keys begin at 0.
constexpr int64_t values_offset(KvFormat f, int64_t head_dim) { return PAGE / BLOCK_LANES * key_block_bytes(f, head_dim); }
constexpr int64_t scales_offset(KvFormat f, int64_t head_dim) {
    return values_offset(f, head_dim) + num_value_blocks(head_dim) * value_block_bytes(f);
}
constexpr int64_t head_bytes(KvFormat f, int64_t head_dim) {
    return scales_offset(f, head_dim) + (f == KvFormat::Q8 ? 2 * PAGE * int64_t(sizeof(float)) : 0);
}

}  // namespace gemsmith
