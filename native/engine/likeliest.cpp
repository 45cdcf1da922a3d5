// The likeliest ids, where the head stands in two planes: what the upper plane says of all, and both planes of a few.
//
// A code is 16 u + l: u the upper plane's, l a nibble of the lower one. With 7.5 for every l, the sum of a row is known but
// for sum(scale * (l - 7.5) * activation). These nibbles are the last digits of their codes; of each row the pack says how
// far their mean is from 7.5, which moves the sum by so much at most, and their standard deviation. What is left is noise,
// as far as digits do not follow the activations: the k best of the upper sums are multiplied in full, and then whatever
// SIGMAS of noise would lift to the worst of them: some ten rows of 262,144 for the likeliest alone, some thousand for 64.
// Their logits have the same bits as in `top`.
//
// So an id is missed where noise is larger than that, once in some 10^11 rows. And each row that is multiplied in full is
// a check: where one is off by more than SURPRISE, the digits follow the activations, and the whole head is read. Only a
// head with single rows made for one hidden state would not be noticed.
#include <cmath>
#include <limits>

#include "best.h"
#include "planes.h"
#include "worker.h"

namespace gemsmith {

namespace {

constexpr float SIGMAS = 7, SURPRISE = 6;
constexpr float MIDDLE = 7.5f;  // of numbers 0 to 15
// Every row of a batch multiplies rows of its own in full: from so many rows on, reading the whole head once is less.
constexpr int64_t FEW_ROWS = 8, FEW_ROWS_OF_MANY_IDS = 2, MANY_IDS = 16;
// Where the upper plane left so many rows in succession open, it is asked for one row in so many.
constexpr int64_t OPEN_IN_SUCCESSION = 8, TRIED_AGAIN = 64;
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

// What makes doubt of a row's digits: noise, a mean that is not 7.5, and what is certain at most, of the upper lane's
// whole sums and of floats.
Engine::Doubt Engine::doubt_of(int64_t t) const {
    const Quantized row = head_lane_.quantized().row(t);
    double variance = 0, leaning = 0, scales = 0, terms = 0;
    for (int64_t g = 0; g < head_lane_.width / GROUP; ++g) {
        int64_t squares = 0, sizes = 0;
        for (int64_t i = 0; i < GROUP; ++i) {
            const int64_t code = row.codes[g * GROUP + i];
            squares += code * code;
            sizes += std::abs(code);
        }
        const double scale = row.scales[g];
        variance += scale * scale * double(squares);
        leaning += scale * std::abs(double(row.sums[g]));
        scales += scale;
        terms += scale * double(sizes);
    }
    return {float(std::sqrt(variance)), float(leaning), float(64 * scales + 128 * 3e-5 * terms)};
}

void Engine::read_digits() {
    const Planes planes(program_.embedding);
    const int64_t blocks = program_.embedding.num_blocks();
    std::vector<Planes::Digits> digits(static_cast<size_t>(blocks * BLOCK_ROWS));
    share_out(ceil_div(blocks, HEAD_CHUNK), [&](int, int64_t c) {
        for (int64_t b = c * HEAD_CHUNK; b < std::min(blocks, (c + 1) * HEAD_CHUNK); ++b)
            planes.digits(b, &digits[size_t(b * BLOCK_ROWS)]);
    });
    digits_ = std::move(digits);
}

void Engine::likeliest_of_all(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values) {
    std::vector<float> log_sums(static_cast<size_t>(num_rows));
    top(hidden, num_rows, k, ids, values, log_sums.data());
    for (int64_t row = 0; row < num_rows; ++row)
        if (!std::isfinite(log_sums[size_t(row)])) std::fill_n(values + row * k, k, std::numeric_limits<float>::quiet_NaN());
}

void Engine::likeliest(const float* hidden, int64_t num_rows, int64_t k, int64_t* ids, float* values) {
    const bool is_hopeless = open_in_succession_ >= OPEN_IN_SUCCESSION && ++rows_since_tried_ % TRIED_AGAIN;
    if (program_.embedding.format != Format::Q8Planes || num_rows > (k < MANY_IDS ? FEW_ROWS : FEW_ROWS_OF_MANY_IDS) || is_hopeless)
        return likeliest_of_all(hidden, num_rows, k, ids, values);
    if (digits_.empty()) read_digits();
    make_head_lane(hidden, num_rows);
    make_upper_lane(num_rows);
    const std::vector<Best> best = multiply_upper_plane(num_rows, k);
    std::vector<bool> is_open(static_cast<size_t>(num_rows));
    for (int64_t t = 0; t < num_rows; ++t) {
        const std::vector<Candidate> found = find_likeliest(t, k, best[size_t(t)]);
        is_open[size_t(t)] = int64_t(found.size()) != k;
        open_in_succession_ = is_open[size_t(t)] ? open_in_succession_ + 1 : 0;
        for (size_t i = 0; i < found.size(); ++i) {
            ids[t * k + int64_t(i)] = found[i].id;
            values[t * k + int64_t(i)] = found[i].value;
        }
    }
    for (int64_t t = 0; t < num_rows; ++t) {
        if (!is_open[size_t(t)]) continue;
        likeliest_of_all(hidden + t * program_.dims.hidden_size, 1, k, ids + t * k, values + t * k);
        ++whole_heads_read_;
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
    if (!(std::abs(threshold) < SATURATION * cap)) return {};

    std::vector<std::vector<int64_t>> reaching(size_t(pool_.threads()));
    share_out(ceil_div(blocks, HEAD_CHUNK), [&](int thread, int64_t c) {
        const int64_t end = std::min(V, (c + 1) * HEAD_CHUNK * BLOCK_ROWS);
        for (int64_t id = c * HEAD_CHUNK * BLOCK_ROWS; id < end; ++id)  // a NaN is not below the threshold
            if (!(upper[id] + doubt.at_most(digits_[size_t(id)], SIGMAS) < threshold)) reaching[size_t(thread)].push_back(id);
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
            if (!(std::abs(sums[i] - upper[rows[i]]) <= doubt.at_most(digits_[size_t(rows[i])], SURPRISE))) is_noise = false;
        if (softcap > 0) isa().softcap(sums, n, softcap);
        for (int64_t i = 0; i < n; ++i) best[size_t(thread)].offer({sums[i], rows[i]});
    });
    if (!is_noise) return {};
    Best of_all(k);
    for (const Best& own : best) of_all.offer(own);
    return of_all.sorted();
}

}  // namespace gemsmith
