// What bindings for tests share: numpy arrays that own their memory, and kernels by the name of their instruction set.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../isa/table.h"

namespace gemsmith {

// A new array; numpy takes over its memory.
template <class T>
struct NewArray {
    std::vector<size_t> shape;
    std::unique_ptr<T[]> owned;
    T* data;

    explicit NewArray(std::vector<int64_t> of_shape, const T* copied = nullptr) : shape(of_shape.begin(), of_shape.end()) {
        size_t size = 1;
        for (size_t n : shape) size *= n;
        owned = std::make_unique<T[]>(size);
        data = owned.get();
        if (copied && size) std::memcpy(data, copied, size * sizeof(T));
    }

    nanobind::object to_numpy() {
        nanobind::capsule owner(owned.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
        owned.release();
        return nanobind::cast(nanobind::ndarray<nanobind::numpy, T>(data, shape.size(), shape.data(), owner));
    }
};

inline const IsaTable& kernels_of(const std::string& name) {
    if (const IsaTable* table = isa_named(name)) return *table;
    std::string all;
    for (const char* each : isa_names()) all += (all.empty() ? "" : ", ") + std::string(each);
    throw std::invalid_argument("there are no kernels for '" + name + "' here; there are: " + all);
}

}  // namespace gemsmith
