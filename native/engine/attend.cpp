// Steps around attention: keys and values into the cache, queries made ready, rows over what they see.
#include <algorithm>

#include "worker.h"

namespace gemsmith {

void Worker::keys(const Step& step) {
    const LayerFacts& layer = e.program_.layers[size_t(step.layer)];
    const int64_t H = layer.head_dim, heads = layer.num_kv_heads, pairs = layer.num_rotated_pairs;
    const float eps = e.program_.dims.eps;
    share(e.rows_.all.size() * heads, 1, [&](int64_t begin, int64_t end) {
        float* v = scratch(H);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t t = i / heads, head = i % heads;
            const RowFacts& row = e.rows_.all.facts[size_t(t)];
            float* key = buffer(step.in).row(t) + layer.key_column + head * H;
            const float* value = layer.k_eq_v ? key : buffer(step.in).row(t) + layer.value_column + head * H;
            k.rms_norm(value, nullptr, eps, H, v);  // before the key is normed in its place
            k.rms_norm(key, step.vectors[0], eps, H, key);
            k.rope(key, e.cosines_[layer.is_sliding].data() + t * pairs, e.sines_[layer.is_sliding].data() + t * pairs, pairs,
                   H / 2);
            k.append(row.sequence->of(step.layer), row.position, head, key, v);
        }
    });
}

void Worker::queries(const Step& step) {
    const LayerFacts& layer = e.program_.layers[size_t(step.layer)];
    const int64_t H = layer.head_dim, heads = e.program_.dims.num_heads, pairs = layer.num_rotated_pairs;
    share(num_rows(step) * heads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t t = i / heads, at = row_in_all(t, e.selected_) * pairs;
            float* query = buffer(step.in).row(t) + (i % heads) * H;
            k.rms_norm(query, step.vectors[0], e.program_.dims.eps, H, query);
            k.rope(query, e.cosines_[layer.is_sliding].data() + at, e.sines_[layer.is_sliding].data() + at, pairs, H / 2);
        }
    });
}

void Worker::attend(const Step& step, bool merging) {
    const LayerFacts& layer = e.program_.layers[size_t(step.layer)];
    const Rows& all = rows();
    Buffer& queries = buffer(step.in);
    Buffer& out = buffer(e.program_.attended);
    float* scratch_at = e.attention_scratch_.data();
    std::vector<AttentionCall> calls;
    std::vector<int64_t> ends;  // of each call's tasks, all calls' numbered through
    int64_t total = 0;
    for (const Segment& segment : all.segments) {
        calls.push_back({&segment.sequence->of(layer.kv_source), queries.row(segment.row), queries.width, segment.num_rows,
                         e.program_.dims.num_heads, all.first[layer.is_sliding].data() + segment.row,
                         all.end[layer.is_sliding].data() + segment.row, out.row(segment.row), out.width, scratch_at});
        scratch_at += attention_scratch(calls.back());
        ends.push_back(total += merging ? merge_tasks(calls.back()) : attention_tasks(calls.back()));
    }
    share(total, 1, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const size_t c = size_t(std::upper_bound(ends.begin(), ends.end(), task) - ends.begin());
            const int64_t own = task - (c ? ends[c - 1] : 0);
            merging ? k.merge(calls[c], own) : k.attend(calls[c], own);
        }
    });
}

}  // namespace gemsmith
