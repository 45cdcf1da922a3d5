// Packed low-bit matrices times 8-bit activations, for one instruction set: `lanes_*.h` says what a vector is.
//
// Bytes and work: a block of 32 rows by 32 columns is 576 bytes at 4 bits and 1024 multiply-adds for each token. With
// one token the bytes decide: each row block is one linear stream, both halves of a block at once, and group scales
// cost nothing. From about eight tokens on the dot products decide: a unit (LANES rows by 32 columns) is unpacked once
// and held in registers while TILE tokens pass by, each with its sum in a register or, on sets with few, in the first
// cache.
//
// Each result is one chain over the groups of 32 columns, fused(dot, weight scale * activation scale, sum), in order
// and from zero. Passes over parts of the columns leave the sum in `out` and go on from there, which changes nothing.
// So a result depends on its row and its token alone.
// Included inside the namespace of one instruction set, after lanes_*.h.

constexpr int TILE = 16;
constexpr int STREAM_TILE = 2;                     // tokens up to which a block's units go together: bytes decide
constexpr int UNITS = BLOCK_ROWS / LANES;          // of a row block
constexpr int64_t PASS_COLUMNS = 1536;             // of a pass over many tokens: 16 packed tokens fill 30 KB
constexpr int64_t PASS_BYTES = 256 << 10;          // of weights that many tokens pass by, in a core's second cache

template <Format F>
constexpr int GROUPS = F == Format::Q2 ? 2 : 1;    // of 32 columns, in one block
template <Format F>
constexpr int64_t CODE_BYTES = F == Format::Q8 ? 1024 : 512;
template <Format F>
constexpr int64_t BLOCK_BYTES = CODE_BYTES<F> + BLOCK_ROWS * 2;

// Few tokens, where they stand.
template <Format F>
struct InPlace {
    Quantized rows;
    const int8_t* codes(int t, int64_t g) const { return rows.codes + t * rows.stride + g * GROUP; }
    float scale(int t, int64_t g) const { return rows.scales[t * (rows.stride / GROUP) + g]; }
    int32_t start(int t, int64_t g) const { return -OFFSET<F> * rows.sums[t * (rows.stride / GROUP) + g]; }
};

// TILE tokens side by side, copied once for many row blocks: linear to read, whatever the stride is.
struct alignas(64) PackedGroup {
    int8_t codes[TILE][GROUP];
    int32_t start[TILE];
    float scale[TILE];
};

struct Packed {
    const PackedGroup* groups;
    const int8_t* codes(int t, int64_t g) const { return groups[g].codes[t]; }
    float scale(int t, int64_t g) const { return groups[g].scale[t]; }
    int32_t start(int t, int64_t g) const { return groups[g].start[t]; }
};

template <Format F>
inline void pack(const Quantized& rows, int64_t first_group, int64_t num_groups, PackedGroup* packed) {
    for (int t = 0; t < TILE; ++t) {
        const Quantized row = rows.row(t);
        for (int64_t g = 0; g < num_groups; ++g) {
            __builtin_memcpy(packed[g].codes[t], row.codes + (first_group + g) * GROUP, GROUP);
            packed[g].start[t] = -OFFSET<F> * row.sums[first_group + g];
            packed[g].scale[t] = row.scales[first_group + g];
        }
    }
}

// `num_units` units from `unit` on of one row block, T tokens. `block` is the first block of the pass.
template <Format F, int T, int NUM_UNITS, class Source>
inline void tile(const std::byte* block, int64_t num_blocks, int unit, const Source& x, bool is_first, float* out,
                 int64_t stride) {
    Floats sums[NUM_UNITS][T];
    for (int u = 0; u < NUM_UNITS; ++u)
        for (int t = 0; t < T; ++t)
            sums[u][t] = is_first ? splat(0.0f) : load(out + t * stride + (unit + u) * LANES);

    for (int64_t b = 0; b < num_blocks; ++b, block += BLOCK_BYTES<F>)
        for (int u = 0; u < NUM_UNITS; ++u) {
            const Floats weight_scales = load_half(block + CODE_BYTES<F> + 2 * LANES * (unit + u));
#pragma GCC unroll 2
            for (int part = 0; part < GROUPS<F>; ++part) {
                const int64_t g = b * GROUPS<F> + part;
                Codes<F> codes;
                codes.unpack(block, unit + u, part);
#pragma GCC unroll 16
                for (int t = 0; t < T; ++t)
                    sums[u][t] = fused(codes.dot(x.codes(t, g), x.start(t, g)),
                                       multiply(weight_scales, splat(x.scale(t, g))), sums[u][t]);
            }
        }

    for (int u = 0; u < NUM_UNITS; ++u)
        for (int t = 0; t < T; ++t) store(out + t * stride + (unit + u) * LANES, sums[u][t]);
}

#if defined(GEMSMITH_WHOLE_BLOCKS)
// The same for one token and all rows, with what a set has for that.
template <Format F>
inline void one_token(const std::byte* block, int64_t num_blocks, const InPlace<F>& x, float* out) {
    Floats sums[UNITS];
    for (int u = 0; u < UNITS; ++u) sums[u] = splat(0.0f);
    for (int64_t b = 0; b < num_blocks; ++b, block += BLOCK_BYTES<F>)
#pragma GCC unroll 2
        for (int part = 0; part < GROUPS<F>; ++part) {
            const int64_t g = b * GROUPS<F> + part;
            Floats dots[UNITS];
            whole_block<F>(block, part, x.codes(0, g), x.start(0, g), dots);
            for (int u = 0; u < UNITS; ++u)
                sums[u] = fused(dots[u], multiply(load_half(block + CODE_BYTES<F> + 2 * LANES * u), splat(x.scale(0, g))), sums[u]);
        }
    for (int u = 0; u < UNITS; ++u) store(out + u * LANES, sums[u]);
}
#endif

// All rows of one block, fewer than TILE tokens, every column in one pass.
template <Format F, int T>
inline void few_tokens(const std::byte* block, int64_t num_blocks, const InPlace<F>& x, float* out, int64_t stride) {
#if defined(GEMSMITH_WHOLE_BLOCKS)
    if constexpr (T == 1) return one_token<F>(block, num_blocks, x, out);
#endif
    if constexpr (T <= STREAM_TILE)
        tile<F, T, UNITS>(block, num_blocks, 0, x, true, out, stride);
    else
        for (int unit = 0; unit < UNITS; ++unit) tile<F, T, 1>(block, num_blocks, unit, x, true, out, stride);
}

template <Format F>
void few_tokens(const std::byte* block, int64_t num_blocks, int num_tokens, const InPlace<F>& x, float* out,
                int64_t stride) {
    switch (num_tokens) {
        case 1: return few_tokens<F, 1>(block, num_blocks, x, out, stride);
        case 2: return few_tokens<F, 2>(block, num_blocks, x, out, stride);
        case 3: return few_tokens<F, 3>(block, num_blocks, x, out, stride);
        case 4: return few_tokens<F, 4>(block, num_blocks, x, out, stride);
        case 5: return few_tokens<F, 5>(block, num_blocks, x, out, stride);
        case 6: return few_tokens<F, 6>(block, num_blocks, x, out, stride);
        case 7: return few_tokens<F, 7>(block, num_blocks, x, out, stride);
        default: return few_tokens<F, 8>(block, num_blocks, x, out, stride);
    }
}

// Row blocks [begin, end) times a number of tokens below TILE: weights come from memory once, 8 tokens at a time.
template <Format F>
inline void matmul_few(const Matrix& m, int64_t begin, int64_t end, const Quantized& x, int64_t num_tokens, float* out,
                       int64_t stride) {
    const int64_t num_blocks = row_block_bytes(F, m.cols) / BLOCK_BYTES<F>;
    for (int64_t r = begin; r < end; ++r)
        for (int64_t t = 0; t < num_tokens; t += 8) {
            const int n = static_cast<int>(num_tokens - t < 8 ? num_tokens - t : 8);
            few_tokens<F>(m.data + r * num_blocks * BLOCK_BYTES<F>, num_blocks, n, InPlace<F>{x.row(t)},
                          out + t * stride + r * BLOCK_ROWS, stride);
        }
}

// Row blocks [begin, end) times whole tiles of tokens, in passes: over the columns, so that a tile of packed tokens
// stays in the first cache; within one over the rows, so that the weights stay in the second while all tokens pass by.
template <Format F>
inline void matmul_many(const Matrix& m, int64_t begin, int64_t end, const Quantized& x, int64_t num_tokens, float* out,
                        int64_t stride) {
    constexpr int64_t PASS = PASS_COLUMNS / (GROUP * GROUPS<F>);  // blocks
    const int64_t num_blocks = row_block_bytes(F, m.cols) / BLOCK_BYTES<F>;
    PackedGroup packed[PASS_COLUMNS / GROUP];

    for (int64_t first = 0; first < num_blocks; first += PASS) {
        const int64_t width = num_blocks - first < PASS ? num_blocks - first : PASS;
        const int64_t height = ceil_div(PASS_BYTES, width * BLOCK_BYTES<F>);
        for (int64_t top = begin; top < end; top += height) {
            const int64_t bottom = end - top < height ? end : top + height;
            for (int64_t t = 0; t < num_tokens; t += TILE) {
                pack<F>(x.row(t), first * GROUPS<F>, width * GROUPS<F>, packed);
                for (int64_t r = top; r < bottom; ++r)
                    for (int unit = 0; unit < UNITS; ++unit)
                        tile<F, TILE, 1>(m.data + (r * num_blocks + first) * BLOCK_BYTES<F>, width, unit,
                                         Packed{packed}, first == 0, out + t * stride + r * BLOCK_ROWS, stride);
            }
        }
    }
}

template <Format F>
inline void matmul_quantized(const Matrix& m, int64_t begin, int64_t end, const Quantized& x, int64_t num_tokens,
                             float* out, int64_t stride) {
    const int64_t many = num_tokens / TILE * TILE;
    if (many) matmul_many<F>(m, begin, end, x, many, out, stride);
    if (num_tokens > many)
        matmul_few<F>(m, begin, end, x.row(many), num_tokens - many, out + many * stride, stride);
}
