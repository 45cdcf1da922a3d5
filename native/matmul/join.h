// IsaTable::join: a block of both planes of a head (types.h, Q8Planes) to the block of Q8 that they were. The compiler
// makes vectors of it.
// Included inside the namespace of one instruction set.

inline void join(const std::byte* upper, const std::byte* lower, std::byte* block) {
    for (int pair = 0; pair < 4; ++pair, upper += 128, lower += 128, block += 256) {
        uint8_t above[128], below[128], first[128], second[128];
        __builtin_memcpy(above, upper, 128);
        __builtin_memcpy(below, lower, 128);
        for (int i = 0; i < 128; ++i) {
            first[i] = static_cast<uint8_t>((above[i] & 15) << 4 | (below[i] & 15));
            second[i] = static_cast<uint8_t>((above[i] & 240) | below[i] >> 4);
        }
        __builtin_memcpy(block, first, 128);
        __builtin_memcpy(block + 128, second, 128);
    }
    __builtin_memcpy(block, upper, 2 * BLOCK_ROWS);  // the scales
}
