#include "sequence.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace gemsmith {

Sequence::Sequence(const Program& program, KvFormat format) {
    for (const LayerFacts& layer : program.layers)
        caches_.push_back(layer.makes_kv ? std::make_unique<LayerCache>(format, layer.num_kv_heads, layer.head_dim,
                                                                        layer.is_sliding ? program.dims.sliding_window : 0,
                                                                        SLACK)
                                         : nullptr);
}

std::unique_ptr<Sequence> Sequence::fork() const {
    std::unique_ptr<Sequence> twin(new Sequence());
    twin->length = length;
    for (const auto& cache : caches_)
        twin->caches_.push_back(cache ? std::make_unique<LayerCache>(cache->fork()) : nullptr);
    return twin;
}

void Sequence::reserve(int64_t num_tokens) {
    for (const auto& cache : caches_)
        if (cache) cache->reserve(length, length + num_tokens);
}

void Sequence::trim(int64_t to) {
    if (to < 0 || to > length) throw std::invalid_argument("cannot trim to " + std::to_string(to) + " of " + std::to_string(length) + " tokens");
    for (const auto& cache : caches_)  // all of them, or none
        if (cache && cache->window && to < length && to > 0 && cache->oldest() > std::max<int64_t>(0, to - cache->window + 1))
            throw std::invalid_argument("the sliding window has moved past token " + std::to_string(to));
    for (const auto& cache : caches_)
        if (cache) cache->trim(to);
    length = to;
}

int64_t Sequence::nbytes() const {
    int64_t sum = 0;
    for (const auto& cache : caches_)
        if (cache) sum += cache->nbytes();
    return sum;
}

}  // namespace gemsmith
