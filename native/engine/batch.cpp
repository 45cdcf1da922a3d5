#include "batch.h"

#include <algorithm>

namespace gemsmith {

void Rows::clear() {
    facts.clear();
    segments.clear();
    for (int sliding : {0, 1}) {
        first[sliding].clear();
        end[sliding].clear();
    }
}

namespace {

// The end of the two-way block that token t stands in; t + 1 where it stands in none.
int64_t end_of_block(std::span<const int32_t> blocks, int64_t t) {
    int64_t end = t + 1;
    if (!blocks.empty() && blocks[size_t(t)] >= 0)
        while (end < int64_t(blocks.size()) && blocks[size_t(end)] == blocks[size_t(t)]) ++end;
    return end;
}

void add(Rows& rows, const RowFacts& facts, int64_t window, int64_t end_if_sliding) {
    rows.facts.push_back(facts);
    rows.first[0].push_back(0);
    rows.end[0].push_back(facts.position + 1);
    rows.first[1].push_back(std::max<int64_t>(0, facts.position - window + 1));
    rows.end[1].push_back(end_if_sliding);
}

}  // namespace

void lay_out(std::span<const RunInput> runs, std::span<Sequence* const> sequences, int64_t window, int32_t pad_id,
             int64_t hidden_size, BatchRows& out) {
    out.all.clear();
    out.wanted.clear();
    out.wanted_index.clear();
    for (size_t r = 0; r < runs.size(); ++r) {
        const RunInput& run = runs[r];
        Sequence* sequence = sequences[r];
        const int64_t start = out.all.size(), start_wanted = out.wanted.size();
        const float* soft = run.soft;
        size_t next = 0;
        for (int64_t t = 0, end = 0; t < int64_t(run.ids.size()); ++t) {
            const bool is_soft = !run.is_soft.empty() && run.is_soft[size_t(t)];
            RowFacts facts{sequence, sequence->length + t, is_soft ? pad_id : run.ids[size_t(t)], is_soft ? soft : nullptr};
            if (is_soft) soft += hidden_size;
            if (end <= t) end = end_of_block(run.blocks, t);
            add(out.all, facts, window, sequence->length + end);
            if (next < run.wanted.size() && run.wanted[next] == t) {
                ++next;
                out.wanted_index.push_back(out.all.size() - 1);
                add(out.wanted, facts, window, sequence->length + end);
            }
        }
        out.all.segments.push_back({sequence, start, out.all.size() - start});
        if (out.wanted.size() > start_wanted)
            out.wanted.segments.push_back({sequence, start_wanted, out.wanted.size() - start_wanted});
    }
}

}  // namespace gemsmith
