// How fast this machine's memory can be read: the limit of generation, which reads every weight for every token.
#pragma once

#include <cstddef>

namespace gemsmith {

// Bytes a second that `num_threads` threads read together, each its own share in one linear stream: the best of
// `repeats` passes over `nbytes` bytes, which should be many times the caches' size. Pages are 2 MB where the system
// gives such. Throws std::bad_alloc where it has not that much memory.
double read_bytes_per_s(int num_threads, std::size_t nbytes, int repeats);

}  // namespace gemsmith
