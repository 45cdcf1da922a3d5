#include "cores.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

#include "pool.h"

namespace gemsmith {

namespace {

// Cores of one group: version 2 writes "quota period" or "max period" into one file, version 1 two numbers into two.
int cores_of(const std::string& folder) {
    double quota = 0, period = 0;
    if (std::ifstream both(folder + "/cpu.max"); both) {
        std::string text;
        if (!(both >> text >> period) || text == "max") return 0;
        std::istringstream(text) >> quota;
    } else {
        std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;  // -1: none
        std::ifstream(folder + "/cpu.cfs_period_us") >> period;
    }
    return quota > 0 && period > 0 ? std::max(1, static_cast<int>(quota / period)) : 0;
}

#ifdef __linux__

// Processors of `allowed` that are one core each, or all where the system does not tell.
int distinct_cores(const cpu_set_t& allowed) {
    std::set<std::string> cores;
    int all = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        ++all;
        std::string siblings;
        std::ifstream("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list") >> siblings;
        cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    // Two threads of one core share its dot products and its memory port, and disturb each other's caches. Virtual
    // machines with very few processors often call them siblings whatever they are; there, each is worth taking.
    const int distinct = static_cast<int>(cores.size());
    return distinct >= 4 ? distinct : all;
}

int allowed_cores() {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return distinct_cores(allowed);
    return static_cast<int>(std::thread::hardware_concurrency());  // more processors than the set has room for
}

#else

int allowed_cores() { return static_cast<int>(std::thread::hardware_concurrency()); }

#endif

}  // namespace

int quota_cores(const std::string& proc, const std::string& groups) {
    int least = 0;
    std::ifstream lines(proc);
    for (std::string line; std::getline(lines, line);) {  // "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1)
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
        const std::string mount = groups + (controllers.empty() ? "" : "/" + controllers);
        // in a container the path may be the host's: the mount itself is then its own group, and is looked at last
        for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
            if (!path.empty() && path.back() == '/') path.pop_back();
            if (const int cores = cores_of(mount + path); cores > 0) least = least ? std::min(least, cores) : cores;
            if (path.find('/') == std::string::npos) break;
        }
    }
    return least;
}

int default_threads() {
    static const int threads = [] {
        const int allowed = std::max(1, allowed_cores());
        const int quota = quota_cores("/proc/self/cgroup", "/sys/fs/cgroup");
        return quota ? std::min(allowed, quota) : allowed;
    }();
    return threads;
}

}  // namespace gemsmith
