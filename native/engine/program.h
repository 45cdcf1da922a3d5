// A model lowered to a list of steps: what `gemsmith.runtime.cpu.lower` writes and `Engine` executes.
//
// Steps speak of buffers (float rows), lanes (rows made ready for a matrix: floats, 8-bit codes, or both) and weights.
// All threads walk the list together, each doing its share of a step, with a barrier behind every step. Before
// `Select` a step works on all rows of a batch, behind it on those rows whose results are wanted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../types.h"

namespace gemsmith {

enum class Op : int32_t {
    Embed,       // ids (or soft tokens) -> x; rows of the per-layer table -> tokens
    Lane,        // lane `out` = x as it is
    PickLane,    // lane `out` = the wanted rows of lane `in`
    Norm,        // lane `out` = rms_norm(x) * vectors[0]
    Matmul,      // buffer `out`, at `columns[i]` = matrices[i] times lane `in`
    PerLayer,    // buffer `out`: the per-layer inputs of layers first .. end: context normed by vectors[0], plus tokens
    Keys,        // keys and values of buffer `in` into the cache: vectors[0] = k_norm
    Queries,     // queries of buffer `in` normed by vectors[0] and turned, in place
    Select,      // from here on only the wanted rows: x and lane `in` are moved together
    Attend,      // queries of buffer `in` over the cache of layer kv_source -> attended
    Merge,       // spans of long contexts merged; behind it lane `out` = attended
    LaneOf,      // lane `out` = buffer `in`
    Residual,    // x = (x + rms_norm(buffer `in`) * vectors[0]) * scalar; lane `out` = x, or rms_norm(x) * vectors[1]
    GatedUp,     // lane `out` = gelu(gate) * up, gate and up in alternating blocks of matrices[0], times lane `in`
    PerLayerGate,  // lane `out` = gelu(matrices[0] times lane `in`) * the layer's per-layer input
    Route,       // experts of each row from buffer `in` (scores), weighted by vectors[0]
    Gather,      // lane `out` = rows of lane `in`, expert after expert
    ExpertsUp,   // GatedUp for every expert's rows
    ExpertsDown, // Matmul for every expert's rows
    ExpertsResidual,  // x = (x + rms_norm(rms_norm(y) * v[0] + rms_norm(sum of experts) * v[1]) * v[2]) * scalar; lane = ... v[3]
    Output,      // rms_norm(x) * vectors[0] -> the caller's rows
};

enum Form : int32_t { FLOATS = 1, CODES = 2 };  // what of a lane is made

struct Step {
    Op op;
    int32_t layer = -1;
    int32_t in = -1, out = -1;  // of lanes or buffers, as the op says
    int32_t forms = 0;
    int32_t num_matrices = 0;
    Matrix matrices[3] = {};
    int64_t first_block[3] = {}, end_block[3] = {}, columns[3] = {};
    // PerLayer: layers first .. end - 1; PerLayerGate: buffer and column of the layer's input; Lane, LaneOf: `end` values a
    // row; ExpertsResidual: `first` is the experts' buffer
    int64_t first = 0, end = 0;
    bool picked = false;             // works on the wanted rows already before `Select`
    const float* vectors[4] = {};
    float scalar = 1.0f;
};

struct LayerFacts {
    bool is_sliding, k_eq_v, makes_kv;
    int64_t head_dim, num_kv_heads, kv_source, num_rotated_pairs;
    int64_t key_column, value_column;  // where keys and values stand in the buffer `qkv`
};

struct Dimensions {
    int64_t vocab_size, hidden_size, num_layers, num_heads, sliding_window;
    int64_t per_layer_width;                           // 0 where the model has no per-layer inputs
    int64_t num_experts, num_active_experts;           // 0 where it has none
    float eps, softcap;                                // softcap 0: none
    float embedding_scale, per_layer_scale;            // of looked-up rows; rounded as the checkpoint's type asks
};

// A row of the per-layer table: from the file by position, or from memory.
struct RowTable {
    enum class Kind : int32_t { F32, F16, BF16, Q8_0, Q4_0, Q6_K } kind = Kind::F32;
    int64_t num_rows = 0, width = 0, row_bytes = 0;
    int file = -1;
    int64_t offset = 0;
    const std::byte* data = nullptr;
};

struct Program {
    Dimensions dims;
    std::vector<LayerFacts> layers;
    std::vector<float> frequencies[2];  // of rotated pairs: full layers, sliding layers
    std::vector<Step> steps;
    Matrix embedding;                   // the head too
    RowTable per_layer_table;
    std::vector<int64_t> buffer_widths, lane_widths;  // floats a row
    std::vector<int32_t> lane_forms;
    int32_t x = -1, attended = -1, tokens = -1;  // buffers that ops imply
    std::vector<int32_t> buffer_per_expert, lane_per_expert;  // those with as many rows as active experts each
    int32_t head_forms = 0;
};

}  // namespace gemsmith
