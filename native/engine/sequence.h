// One sequence: the keys and values of its tokens in every layer that makes them.
#pragma once

#include <memory>

#include "../attention/cache.h"
#include "program.h"

namespace gemsmith {

constexpr int64_t SLACK = 256;  // positions that rings hold beyond their window: a prompt chunk of that many

class Sequence {
public:
    Sequence(const Program& program, KvFormat format);

    std::unique_ptr<Sequence> fork() const;
    void reserve(int64_t num_tokens);      // room for so many more
    void trim(int64_t length);             // std::invalid_argument where a window has moved past it
    int64_t nbytes() const;

    LayerCache& of(int64_t layer) const { return *caches_[size_t(layer)]; }
    int64_t length = 0;

private:
    Sequence() = default;
    std::vector<std::unique_ptr<LayerCache>> caches_;  // null where a layer reads another's
};

}  // namespace gemsmith
