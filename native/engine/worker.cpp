#include "worker.h"

#include <chrono>
#include <new>

namespace gemsmith {

void Worker::walk() {
    using clock = std::chrono::steady_clock;
    const bool records = e.recording_ && thread == 0;
    for (index = 0; index < e.program_.steps.size(); ++index) {
        const Step& step = e.program_.steps[index];
        const auto start = records ? clock::now() : clock::time_point{};
        // Who finds no memory goes on to the barrier, as all expect; behind it everybody sees that, and does no more.
        try {
            if (!e.out_of_memory_) run(step);
        } catch (const std::bad_alloc&) {
            e.out_of_memory_ = true;
        }
        e.pool_.barrier();
        // A prompt's chunk whose rows nobody reads. Asked behind the barrier, where all threads see the same answer.
        if (step.op == Op::Select && e.rows_.wanted.size() == 0) return;
        if (records) e.seconds_[int32_t(step.op)] += std::chrono::duration<double>(clock::now() - start).count();
    }
}

void Worker::run(const Step& step) {
    switch (step.op) {
        case Op::Embed: return embed(step);
        case Op::Lane:
        case Op::LaneOf: return lane_of(step);
        case Op::PickLane: return pick(step);
        case Op::Norm: return norm(step);
        case Op::Matmul: return matmul(step);
        case Op::PerLayer: return per_layer(step);
        case Op::Keys: return keys(step);
        case Op::Queries: return queries(step);
        case Op::Select: return select(step);
        case Op::Attend: return attend(step, false);
        case Op::Merge: return attend(step, true);
        case Op::Residual: return residual(step);
        case Op::GatedUp: return gated_up(step);
        case Op::PerLayerGate: return per_layer_gate(step);
        case Op::Route: return route(step);
        case Op::Gather: return gather(step);
        case Op::ExpertsUp: return experts_up(step);
        case Op::ExpertsDown: return experts_down(step);
        case Op::ExpertsResidual: return experts_residual(step);
        case Op::Output: return output(step);
    }
}

float* Worker::scratch(int64_t floats) const {
    Array<float>& own = e.thread_scratch_[size_t(thread)];
    own.reserve(floats);
    return own.data();
}

void Worker::make_lane(const Step& step, Lane& lane, int64_t row, const float* values, int64_t n) const {
    if (step.forms & FLOATS) std::copy(values, values + n, lane.values.data() + row * lane.width);
    if (step.forms & CODES) k.quantize_row(values, n, lane.quantized().row(row));
}

}  // namespace gemsmith
