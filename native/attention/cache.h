// Keys and values of one layer of one sequence: pages of PAGE positions. A sliding layer keeps a ring of pages, a full
// one grows. Where page p of a ring stands depends on p alone, so a page is found without a search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gemsmith {

enum class KvFormat : int32_t { F32, BF16, Q8 };

constexpr int64_t PAGE = 64;  // positions

class LayerCache {
public:
    // window 0: a full layer. `slack`: positions beyond the window that one call may append (a ring grows if one appends more).
    // head_dim is even and at most 512.
    LayerCache(KvFormat format, int64_t num_heads, int64_t head_dim, int64_t window, int64_t slack);
    LayerCache(LayerCache&&) = default;
    LayerCache& operator=(LayerCache&&) = default;

    // Room for positions [begin, end), keeping what a row at `begin` still sees. One thread, before any append.
    // `begin` is at most the end reserved so far; where it is less, what stood from `begin` on is forgotten first.
    void reserve(int64_t begin, int64_t end);
    void trim(int64_t length);           // forget positions from `length` on; throws std::invalid_argument where a ring no longer holds what a row there would see
    LayerCache fork() const;             // full pages are shared and copied when written; rings are copied
    int64_t oldest() const { return oldest_; }  // the first position still held
    int64_t length() const { return length_; }  // the end of what was reserved
    int64_t nbytes() const;              // allocated; of shared pages, all of their bytes

    // Keys, values and scales of one head in positions [page * PAGE, (page + 1) * PAGE), as layout.h says.
    std::byte* head_of_page(int64_t page, int64_t head) const;

    KvFormat format;
    int64_t num_heads, head_dim, window;

private:
    // Pages are allocated several at once. A full layer's chunk may belong to forks too, until one of them writes there.
    using Chunk = std::shared_ptr<std::byte>;

    Chunk new_chunk() const;
    void grow_ring(int64_t first_page, int64_t num_pages);
    void own_chunks_from(int64_t page);

    int64_t page_bytes_, pages_per_chunk_;  // a ring is a single chunk
    int64_t length_ = 0, oldest_ = 0;
    std::vector<Chunk> chunks_;
};

}  // namespace gemsmith
