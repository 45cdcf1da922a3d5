// The likeliest ids, where the head stands in two planes: what the upper plane says of all, and both planes of a few.
//
// A code is 16 u + l: u the upper plane's, l a nibble of the lower one. With 7.5 for every l, the sum of a row is known but
// for sum(scale * (l - 7.5) * activation); and since these nibbles are the last digits of their codes, that is noise: its
// standard deviation is at most the row's largest scale times `sigma`, below. The k best of
// those sums are multiplied in full, and then whatever SIGMAS of noise would lift to the worst of them: some hundred rows
// of 262,144 for the likeliest alone, a few thousand at most for 64. Their logits have the same bits as in `top`.
//
// That the digits are noise is held against every row that is multiplied in full: one that is off by more than SURPRISE
// standard deviations, of a head that nobody trained or somebody made up, and the whole head is read after all.
#include <cmath>
#include <limits>

#include "best.h"
#include "planes.h"
#include "worker.h"

namespace gemsmith {

namespace {

constexpr int64_t ROWS_AT_ONCE = 8;      // that share one reading of the upper plane
constexpr float SIGMAS = 7, SURPRISE = 6;
constexpr double NIBBLE_SIGMA = 4.6098;  // of numbers 0 to 15, each as likely as the others
constexpr float MIDDLE = 7.5f;
// From here on, different sums may be the same logit, and then it is the lower id that counts.
constexpr float SATURATION = 6;          // soft caps

}  // namespace

// The same codes for the upper plane, which is 16 times too small. A kernel subtracts 8 times a group's sum, for nibbles
// 0 to 15; MIDDLE of every lower nibble goes into that sum, rounded: by less than half a unit, 4 of the kernel's, 64 here.
void Engine::make_upper_lane(int64_t rows) {
    upper_lane_.reserve(rows);
    for (int64_t t = 0; t < rows; ++t) {
        const Quantized from = head_lane_.quantized().row(t), to = upper_lane_.quantized().row(t);
        std::copy_n(from.codes, head_lane_.width, to.codes);
        for (int64_t g = 0; g < head_lane_.width / GROUP; ++g) {
            to.scales[g] = 16 * from.scales[g];
            to.sums[g] = int32_t(std::lround(double(from.sums[g]) * (1 - double(MIDDLE) / 128)));
        }
    }
}

// How far the upper plane's sum may be from the whole one, in scales of the row: the lower plane as noise, and at most,
// with what is certain besides, of the upper lane's whole sums and of floats.
Engine::Doubt Engine::doubt_of(int64_t t) const {
    const Quantized row = head_lane_.quantized().row(t);
    double variance = 0, scales = 0, terms = 0;
    for (int64_t g = 0; g < head_lane_.width / GROUP; ++g) {
        int64_t squares = 0, sizes = 0;
        for (int64_t i = 0; i < GROUP; ++i) {
            const int64_t code = row.codes[g * GROUP + i];
            squares += code * code;
            sizes += std::abs(code);
        }
        const double scale = row.scales[g];
        variance += scale * scale * double(squares);
        scales += scale;
        terms += scale * double(sizes);
    }
    const float sigma = float(NIBBLE_SIGMA * std::sqrt(variance)), certain = float(64 * scales + 128 * 3e-5 * terms);
    return {SIGMAS * sigma + certain, SURPRISE * sigma + certain};
}

void Engine::measure_scales() {
    const Planes planes(program_.embedding);
    const int64_t blocks = program_.embedding.num_blocks();
    std::vector<float> scales(static_cast<size_t>(blocks * BLOCK_ROWS));
    share_out(ceil_div(blocks, HEAD_CHUNK), [&](int, int64_t c) {
        for (int64_t b = c * HEAD_CHUNK; b < std::min(blocks, (c + 1) * HEAD_CHUNK); ++b)
            planes.largest_scales(b, &scales[size_t(b * BLOCK_ROWS)]);
    });
    largest_scales_ = std::move(scales);
}

void Engine::likeliest_of_all(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values) {
    std::vector<float> log_sums(static_cast<size_t>(num_rows));
    top(hidden, num_rows, k, ids, values, log_sums.data());
    for (int64_t row = 0; row < num_rows; ++row)
        if (!std::isfinite(log_sums[size_t(row)])) std::fill_n(values + row * k, k, std::numeric_limits<float>::quiet_NaN());
}

void Engine::likeliest(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values) {
    if (program_.embedding.format != Format::Q8Planes) return likeliest_of_all(hidden, num_rows, k, ids, values);
    const int64_t D = program_.dims.hidden_size;
    if (largest_scales_.empty()) measure_scales();
    for (int64_t row = 0; row < num_rows; row += ROWS_AT_ONCE) {
        const int64_t rows = std::min(ROWS_AT_ONCE, num_rows - row);
        make_head_lane(hidden + row * D, rows);
        make_upper_lane(rows);
        const std::vector<Best> best = multiply_upper_plane(rows, k);
        std::vector<int64_t> open;  // rows whose answer the upper plane leaves open; their head lanes are made anew
        for (int64_t t = 0; t < rows; ++t) {
            const std::vector<Candidate> found = find_likeliest(t, k, best[size_t(t)]);
            if (found.empty()) open.push_back(row + t);
            for (size_t i = 0; i < found.size(); ++i) {
                ids[(row + t) * k + int64_t(i)] = found[i].id;
                values[(row + t) * k + int64_t(i)] = found[i].value;
            }
        }
        for (int64_t r : open) likeliest_of_all(hidden + r * D, 1, k, ids + r * k, values + r * k);
        whole_heads_read_ += int64_t(open.size());
    }
}

// Sums of all ids from the upper plane alone, and the k best by those, for each row.
std::vector<Best> Engine::multiply_upper_plane(int64_t rows, int64_t k) {
    const Planes planes(program_.embedding);
    const int64_t V = program_.dims.vocab_size, blocks = program_.embedding.num_blocks(), stride = blocks * BLOCK_ROWS;
    upper_sums_.reserve(rows * stride);
    const size_t threads = size_t(pool_.threads());
    std::vector<Best> best(size_t(rows) * threads, Best(k));
    std::vector<Best> of_all(static_cast<size_t>(rows), Best(k));
    share_out(ceil_div(blocks, HEAD_CHUNK), [&](int thread, int64_t c) {
        const int64_t begin = c * HEAD_CHUNK, end = std::min(blocks, begin + HEAD_CHUNK), first = begin * BLOCK_ROWS;
        isa().matmul(planes.upper, begin, end, upper_lane_.from(0), rows, upper_sums_.data(), stride);
        for (int64_t t = 0; t < rows; ++t)
            best[size_t(t) * threads + size_t(thread)].offer(upper_sums_.data() + t * stride + first,
                                                             std::min(V, end * BLOCK_ROWS) - first, first);
    });
    for (size_t i = 0; i < best.size(); ++i) of_all[i / threads].offer(best[i]);
    return of_all;
}

// The k best of row t, given those of its upper sums; none where these do not decide.
std::vector<Candidate> Engine::find_likeliest(int64_t t, int64_t k, const Best& by_upper_sum) {
    const int64_t V = program_.dims.vocab_size, blocks = program_.embedding.num_blocks();
    const float* upper = upper_sums_.data() + t * blocks * BLOCK_ROWS;
    const float cap = program_.dims.softcap > 0 ? program_.dims.softcap : std::numeric_limits<float>::infinity();
    const Doubt doubt = doubt_of(t);
    std::vector<int64_t> ids;
    for (const Candidate& one : by_upper_sum.sorted()) ids.push_back(one.id);
    const std::vector<Candidate> first = multiply_in_full(t, k, ids, doubt, 0);
    if (first.empty()) return {};
    const float threshold = first.back().value;  // the k-th best is at least as good
    if (!(std::abs(first.front().value) + doubt.most * largest_scales_[size_t(first.front().id)] < SATURATION * cap)) return {};

    std::vector<std::vector<int64_t>> reaching(size_t(pool_.threads()));
    share_out(ceil_div(blocks, HEAD_CHUNK), [&](int thread, int64_t c) {
        const int64_t end = std::min(V, (c + 1) * HEAD_CHUNK * BLOCK_ROWS);
        for (int64_t id = c * HEAD_CHUNK * BLOCK_ROWS; id < end; ++id)  // a NaN is not below the threshold
            if (!(upper[id] + doubt.most * largest_scales_[size_t(id)] < threshold)) reaching[size_t(thread)].push_back(id);
    });
    ids.clear();
    for (const auto& own : reaching) ids.insert(ids.end(), own.begin(), own.end());
    if (int64_t(ids.size()) > V / 4 + k) return {};
    return multiply_in_full(t, k, ids, doubt, program_.dims.softcap);
}

// The k best of these ids by the whole sum of row t, capped if `softcap` is not 0; none where one is off by more than noise.
std::vector<Candidate> Engine::multiply_in_full(int64_t t, int64_t k, std::vector<int64_t>& ids, const Doubt& doubt,
                                                float softcap) {
    const Planes planes(program_.embedding);
    const float* upper = upper_sums_.data() + t * program_.embedding.num_blocks() * BLOCK_ROWS;
    const int64_t count = int64_t(ids.size());
    ids.resize(size_t(ceil_div(count, BLOCK_ROWS) * BLOCK_ROWS), ids.front());
    std::vector<Best> best(size_t(pool_.threads()), Best(k));
    std::atomic<bool> is_noise = true;
    share_out(ceil_div(count, BLOCK_ROWS), [&](int thread, int64_t c) {
        Array<float>& own = thread_scratch_[size_t(thread)];
        own.reserve(planes.block_bytes() / int64_t(sizeof(float)));
        std::byte* block = reinterpret_cast<std::byte*>(own.data());
        const int64_t* rows = &ids[size_t(c * BLOCK_ROWS)];
        planes.join(rows, block);
        alignas(64) float sums[BLOCK_ROWS];
        isa().matmul({Format::Q8, BLOCK_ROWS, planes.upper.cols, block}, 0, 1, head_lane_.from(t), 1, sums, BLOCK_ROWS);
        const int64_t n = std::min(BLOCK_ROWS, count - c * BLOCK_ROWS);
        for (int64_t i = 0; i < n; ++i)
            if (!(std::abs(sums[i] - upper[rows[i]]) <= doubt.surprising * largest_scales_[size_t(rows[i])])) is_noise = false;
        if (softcap > 0) isa().softcap(sums, n, softcap);
        for (int64_t i = 0; i < n; ++i) best[size_t(thread)].offer({sums[i], rows[i]});
    });
    if (!is_noise) return {};
    Best of_all(k);
    for (const Best& own : best) of_all.offer(own);
    return of_all.sorted();
}

}  // namespace gemsmith
