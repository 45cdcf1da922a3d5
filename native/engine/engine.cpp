#include "engine.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <set>
#include <stdexcept>
#include <string>

#include "worker.h"

namespace gemsmith {

Engine::Engine(Program program, int num_threads, KvFormat format, int32_t pad_id)
    : program_(std::move(program)), pool_(num_threads), format_(format), pad_id_(pad_id) {
    isa();  // whose error, of a bad GEMSMITH_ISA, no thread of the pool could hand on
    for (int64_t width : program_.buffer_widths) buffers_.push_back({ceil_div(width, BLOCK_ROWS) * BLOCK_ROWS, {}});
    for (size_t i = 0; i < program_.lane_widths.size(); ++i) {
        lanes_.emplace_back();
        lanes_.back().width = padded(program_.lane_widths[i]);
        lanes_.back().forms = program_.lane_forms[i];
    }
    thread_scratch_.resize(size_t(pool_.threads()));
    table_rows_.reserve(pool_.threads() * std::max<int64_t>(1, program_.per_layer_table.row_bytes));
    taken_ = std::make_unique<std::atomic<int64_t>[]>(program_.steps.size() + 1);
    head_lane_.width = upper_lane_.width = padded(program_.dims.hidden_size);
    head_lane_.forms = upper_lane_.forms = program_.head_forms;
}

int64_t Engine::create() {
    sequences_[next_handle_] = std::make_unique<Sequence>(program_, format_);
    return next_handle_++;
}

int64_t Engine::fork(int64_t handle) {
    sequences_[next_handle_] = sequence(handle).fork();
    return next_handle_++;
}

void Engine::free(int64_t handle) {
    sequence(handle);
    sequences_.erase(handle);
}

Sequence& Engine::sequence(int64_t handle) {
    auto found = sequences_.find(handle);
    if (found == sequences_.end()) throw std::invalid_argument("there is no sequence " + std::to_string(handle));
    return *found->second;
}

void Engine::step(std::span<const RunInput> runs, float* hidden) {
    prepare(runs);
    hidden_ = hidden;
    pool_.run([this](int thread) { Worker(*this, thread).walk(); });
    if (out_of_memory_) throw std::bad_alloc();
    if (read_failed_) throw std::runtime_error("the per-layer embeddings cannot be read: was the file changed or removed?");
    for (const RunInput& run : runs) sequence(run.sequence).length += int64_t(run.ids.size());
}

void Engine::prepare(std::span<const RunInput> runs) {
    std::vector<Sequence*> sequences;
    std::set<int64_t> handles;
    for (const RunInput& run : runs) {
        sequences.push_back(&sequence(run.sequence));
        if (!handles.insert(run.sequence).second)
            throw std::invalid_argument("sequence " + std::to_string(run.sequence) + " stands in one batch twice");
    }
    const Dimensions& dims = program_.dims;
    lay_out(runs, sequences, dims.sliding_window, pad_id_, dims.hidden_size, rows_);
    for (size_t i = 0; i < runs.size(); ++i) sequences[i]->reserve(int64_t(runs[i].ids.size()));
    selected_ = false;
    read_failed_ = out_of_memory_ = false;
    for (size_t i = 0; i <= program_.steps.size(); ++i) taken_[i].store(0, std::memory_order_relaxed);
    reserve_rows();
    ask_for_table_rows();
    for (int sliding : {0, 1}) {
        const std::vector<float>& frequencies = program_.frequencies[sliding];
        cosines_[sliding].clear();
        sines_[sliding].clear();
        for (const RowFacts& row : rows_.all.facts)
            for (float frequency : frequencies) {  // the angle in float32, as the definition has it
                const float angle = float(row.position) * frequency;
                cosines_[sliding].push_back(std::cos(angle));
                sines_[sliding].push_back(std::sin(angle));
            }
    }
    prepare_attention();
}

// Rows of the per-layer table come from the disk, some hundred microseconds each, one after the other where nobody asks
// for all of a prompt's at once.
void Engine::ask_for_table_rows() {
#ifdef POSIX_FADV_WILLNEED
    const RowTable& table = program_.per_layer_table;
    if (table.file < 0 || rows_.all.size() < 2) return;
    for (const RowFacts& row : rows_.all.facts)
        posix_fadvise(table.file, table.offset + row.id * table.row_bytes, table.row_bytes, POSIX_FADV_WILLNEED);
#endif
}

void Engine::reserve_rows() {
    const int64_t rows = rows_.all.size(), active = std::max<int64_t>(1, program_.dims.num_active_experts);
    auto has = [](const std::vector<int32_t>& list, size_t i) { return std::find(list.begin(), list.end(), int32_t(i)) != list.end(); };
    for (size_t i = 0; i < buffers_.size(); ++i)
        buffers_[i].reserve(has(program_.buffer_per_expert, i) ? rows * active : rows);
    for (size_t i = 0; i < lanes_.size(); ++i) lanes_[i].reserve(has(program_.lane_per_expert, i) ? rows * active : rows);
    if (!program_.dims.num_experts) return;
    expert_of_.resize(size_t(rows * active));
    expert_weight_.resize(size_t(rows * active));
    place_of_.resize(size_t(rows * active));
    source_of_.resize(size_t(rows * active));
}

// Room for the partial results of whichever layer needs most.
void Engine::prepare_attention() {
    int64_t most = 0;
    for (const LayerFacts& layer : program_.layers) {
        for (const Rows* rows : {&rows_.all, &rows_.wanted}) {
            int64_t sum = 0;
            for (const Segment& segment : rows->segments) {
                AttentionCall call{&segment.sequence->of(layer.kv_source), nullptr, 0, segment.num_rows, program_.dims.num_heads,
                                   rows->first[layer.is_sliding].data() + segment.row,
                                   rows->end[layer.is_sliding].data() + segment.row, nullptr, 0, nullptr};
                sum += attention_scratch(call);
            }
            most = std::max(most, sum);
        }
    }
    attention_scratch_.reserve(std::max<int64_t>(most, 1));
}

void Engine::record(bool on) {
    recording_ = on;
    seconds_.clear();
    if (!on) return;
    for (const Step& step : program_.steps) seconds_[int32_t(step.op)] = 0;  // threads at work make no new ones
}

}  // namespace gemsmith
