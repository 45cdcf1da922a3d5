// The k best of all logits that are offered, of equals the lower id.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gemsmith {

struct Candidate {
    float value;
    int64_t id;
    bool operator<(const Candidate& other) const {  // better; a heap's top is then the worst
        return value > other.value || (value == other.value && id < other.id);
    }
};

class Best {
public:
    explicit Best(int64_t k = 0) : k_(size_t(k)) {}

    void offer(const float* values, int64_t count, int64_t first_id) {
        for (int64_t i = 0; i < count; ++i) offer({values[i], first_id + i});
    }
    void offer(Candidate one) {
        if (heap_.size() == k_) {
            if (!(one < heap_.front())) return;
            std::pop_heap(heap_.begin(), heap_.end());
            heap_.pop_back();
        }
        heap_.push_back(one);
        std::push_heap(heap_.begin(), heap_.end());
    }
    void offer(const Best& others) {
        for (const Candidate& one : others.heap_) offer(one);
    }
    std::vector<Candidate> sorted() const {
        std::vector<Candidate> all = heap_;
        std::sort(all.begin(), all.end());
        return all;
    }

private:
    size_t k_;
    std::vector<Candidate> heap_;
};

}  // namespace gemsmith
