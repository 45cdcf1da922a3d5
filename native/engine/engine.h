// Executes a program: sequences as handles, batches in, hidden rows out; logits from hidden rows.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "../pool.h"
#include "batch.h"
#include "best.h"
#include "planes.h"
#include "program.h"
#include "workspace.h"

namespace gemsmith {

class Engine {
public:
    Engine(Program program, int num_threads, KvFormat format, int32_t pad_id);

    int64_t create();
    int64_t fork(int64_t sequence);
    void free(int64_t sequence);
    Sequence& sequence(int64_t handle);  // std::invalid_argument for an unknown one

    // Appends every run's tokens (a sequence at most once) and writes the wanted rows, run after run, after the final
    // norm: hidden [wanted][hidden_size]. After an exception, std::bad_alloc too, no sequence has grown.
    void step(std::span<const RunInput> runs, float* hidden);

    // Soft-capped logits [num_rows][vocab_size] of such rows.
    void logits(const float* hidden, int64_t num_rows, float* out);
    // The k best of each row, best first, of equals the lower id; and each row's log-sum-exp over the whole vocabulary.
    void top(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values, float* log_sums);
    // The k best alone, all NaN where a logit of the row is NaN or infinite. Of a head in two planes, half the bytes are read
    // where they tell (likeliest.cpp).
    void likeliest(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values);
    int64_t whole_heads_read() const { return whole_heads_read_; }  // because the upper plane left it open

    const Program& program() const { return program_; }
    const Lane& lane(int32_t i) const { return lanes_.at(size_t(i)); }  // as the last `step` left it: for tests
    int num_threads() const { return pool_.threads(); }
    void record(bool on);                                          // seconds by op from here on
    const std::map<int32_t, double>& seconds() const { return seconds_; }

private:
    friend class Worker;
    void prepare(std::span<const RunInput> runs);
    void prepare_attention();
    void reserve_rows();
    void ask_for_table_rows();
    // Called by any thread with the soft-capped logits of ids first .. first + count - 1 of one row.
    using Take = std::function<void(int thread, int64_t row, int64_t chunk, int64_t first, int64_t count, const float* logits)>;
    void head(const float* hidden, int64_t num_rows, int64_t rows_at_once, const Take& take);
    void make_head_lane(const float* hidden, int64_t rows);
    // f(chunk) for all of them, whichever thread comes first; std::bad_alloc where a thread ran out of memory.
    void share_out(int64_t chunks, const std::function<void(int thread, int64_t chunk)>& f);
    void likeliest_of_all(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values);
    void make_upper_lane(int64_t rows);          // likeliest.cpp
    void read_digits();
    struct Doubt {
        float sigma, leaning, certain;
        // The distance of a row's upper sum from its whole one.
        float at_most(const Planes::Digits& row, float sigmas) const {
            return sigmas * sigma * row.spread + leaning * row.lean + certain * row.scale;
        }
    };
    Doubt doubt_of(int64_t row) const;
    std::vector<Best> multiply_upper_plane(int64_t rows, int64_t k);
    std::vector<Candidate> find_likeliest(int64_t row, int64_t k, const Best& by_upper_sum);
    std::vector<Candidate> multiply_in_full(int64_t row, int64_t k, std::vector<int64_t>& ids, const Doubt& doubt,
                                            float softcap);

    Program program_;
    Pool pool_;
    KvFormat format_;
    int32_t pad_id_;
    std::map<int64_t, std::unique_ptr<Sequence>> sequences_;
    int64_t next_handle_ = 0;

    // of the batch at work
    BatchRows rows_;
    bool selected_ = false;
    float* hidden_ = nullptr;
    std::vector<Buffer> buffers_;
    std::vector<Lane> lanes_;
    std::vector<float> cosines_[2], sines_[2];   // [row][rotated pair]; full layers, sliding layers
    Array<float> attention_scratch_;
    std::vector<Array<float>> thread_scratch_;
    Array<std::byte> table_rows_;                // one row a thread
    std::vector<int32_t> expert_of_;             // [row][active]
    std::vector<float> expert_weight_;
    std::vector<int64_t> place_of_;              // [row][active] -> row of the expert buffers
    std::vector<int64_t> source_of_;             // and back
    std::vector<int64_t> used_experts_, expert_start_;
    std::unique_ptr<std::atomic<int64_t>[]> taken_;  // of each step: how far its shares are given out
    std::atomic<bool> read_failed_ = false, out_of_memory_ = false;
    static constexpr int64_t HEAD_CHUNK = 64;    // row blocks, 2,048 ids
    Lane head_lane_, upper_lane_;
    std::vector<Planes::Digits> digits_;         // of a head in two planes, by id
    Array<float> upper_sums_;                    // [row][id]
    int64_t whole_heads_read_ = 0, open_in_succession_ = 0, rows_since_tried_ = 0;
    bool recording_ = false;
    std::map<int32_t, double> seconds_;
};

}  // namespace gemsmith
