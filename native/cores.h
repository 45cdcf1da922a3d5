// How many processors this process may keep busy, as the system tells it.
#pragma once

#include <string>

namespace gemsmith {

// The tightest quota of the control groups that hold this process, in whole cores rounded down, at least 1; 0 if none.
// `proc` and `groups` are /proc/self/cgroup and /sys/fs/cgroup, or copies of them.
int quota_cores(const std::string& proc, const std::string& groups);

}  // namespace gemsmith
