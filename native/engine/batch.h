// A batch as the caller hands it over, and what its rows need to know.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sequence.h"

namespace gemsmith {

// The next tokens of one sequence. `wanted` are rising indices into them.
struct RunInput {
    int64_t sequence;
    std::span<const int32_t> ids;
    std::span<const int64_t> wanted;
    std::span<const uint8_t> is_soft;   // empty, or one flag a token: this row comes from `soft`
    std::span<const int32_t> blocks;    // empty, or the number of the two-way block a token is in, -1 for none
    const float* soft = nullptr;        // [number of soft rows][hidden]
};

struct RowFacts {
    Sequence* sequence;
    int64_t position;
    int32_t id;          // of a soft row: the padding token's
    const float* soft;   // its row of soft tokens, or null
};

// Neighbouring rows of one sequence.
struct Segment {
    Sequence* sequence;
    int64_t row, num_rows;
};

// Rows in order; what they see is kept apart for full and sliding layers: positions first .. end - 1.
struct Rows {
    std::vector<RowFacts> facts;
    std::vector<Segment> segments;
    std::vector<int64_t> first[2], end[2];  // [is_sliding]
    void clear();
    int64_t size() const { return int64_t(facts.size()); }
};

// All rows of a batch, the rows wanted among them, and where those stand in all.
struct BatchRows {
    Rows all, wanted;
    std::vector<int64_t> wanted_index;
};

// Fills `out`; `resolve` finds a sequence by its handle.
void lay_out(std::span<const RunInput> runs, std::span<Sequence* const> sequences, int64_t window, int32_t pad_id,
             int64_t hidden_size, BatchRows& out);

}  // namespace gemsmith
