#include "cache.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "layout.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace gemsmith {

namespace {

constexpr int64_t HUGE = int64_t(1) << 21;      // a huge page: 10 to 15 % more bandwidth than small ones
constexpr int64_t MOST_PAGES_PER_CHUNK = 16;    // so that small models do not reserve megabytes for a short text

int64_t pages_of(int64_t positions) { return (positions + PAGE - 1) / PAGE; }

// Zeros, which the system provides page by page as they are touched. Never less than a cache line aligned.
std::shared_ptr<std::byte> zeros(int64_t nbytes) {
#ifdef __linux__
    if (nbytes >= HUGE / 2) {
        const int64_t whole = (nbytes + HUGE - 1) / HUGE * HUGE, mapped = whole + HUGE;
        void* at = mmap(nullptr, size_t(mapped), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        std::byte* const from = static_cast<std::byte*>(at);
        const int64_t before = -int64_t(reinterpret_cast<uintptr_t>(from)) & (HUGE - 1);  // to the next multiple
        if (before) munmap(from, size_t(before));
        if (before < HUGE) munmap(from + before + whole, size_t(HUGE - before));
        madvise(from + before, size_t(whole), MADV_HUGEPAGE);
        return {from + before, [whole](std::byte* p) { munmap(p, size_t(whole)); }};
    }
#endif
    const size_t size = size_t((nbytes + 63) / 64 * 64);
    void* at = std::aligned_alloc(64, size);
    if (!at) throw std::bad_alloc();
    std::memset(at, 0, size);
    return {static_cast<std::byte*>(at), [](std::byte* p) { std::free(p); }};
}

}  // namespace

LayerCache::LayerCache(KvFormat format, int64_t num_heads, int64_t head_dim, int64_t window, int64_t slack)
    : format(format), num_heads(num_heads), head_dim(head_dim), window(window) {
    if (num_heads < 1 || head_dim < 2 || head_dim % 2 || head_dim > MAX_HEAD_DIM || window < 0 || slack < 0)
        throw std::invalid_argument("a K/V cache needs at least one head, an even head_dim from 2 to " +
                                    std::to_string(MAX_HEAD_DIM) + " and a window of 0 or more; asked for " +
                                    std::to_string(num_heads) + " heads of " + std::to_string(head_dim) + ", window " +
                                    std::to_string(window) + ", slack " + std::to_string(slack));
    page_bytes_ = num_heads * head_bytes(format, head_dim);
    // a ring holds its window and the slack wherever they begin in a page
    pages_per_chunk_ = window ? pages_of(window + slack) + 1 : std::clamp<int64_t>(HUGE / page_bytes_, 1, MOST_PAGES_PER_CHUNK);
}

LayerCache::Chunk LayerCache::new_chunk() const { return zeros(pages_per_chunk_ * page_bytes_); }

std::byte* LayerCache::head_of_page(int64_t page, int64_t head) const {
    const int64_t chunk = window ? 0 : page / pages_per_chunk_;
    return chunks_[size_t(chunk)].get() + page % pages_per_chunk_ * page_bytes_ + head * (page_bytes_ / num_heads);
}

void LayerCache::reserve(int64_t begin, int64_t end) {
    if (begin < 0 || begin > length_ || end < begin)
        throw std::invalid_argument("cannot reserve positions " + std::to_string(begin) + " to " + std::to_string(end) +
                                    " of a K/V cache that ends at " + std::to_string(length_));
    if (begin < length_) trim(begin);
    if (end == begin) return;
    if (window) {
        const int64_t first_page = std::max(oldest_, begin - window + 1) / PAGE, num_pages = pages_of(end) - first_page;
        if (chunks_.empty()) {
            pages_per_chunk_ = std::max(pages_per_chunk_, num_pages);
            chunks_.push_back(new_chunk());
        } else if (num_pages > pages_per_chunk_) {
            grow_ring(first_page, num_pages);
        }
        oldest_ = std::max(oldest_, (pages_of(end) - pages_per_chunk_) * PAGE);
    } else {
        own_chunks_from(begin / PAGE);
        while (int64_t(chunks_.size()) * pages_per_chunk_ < pages_of(end)) chunks_.push_back(new_chunk());
    }
    length_ = end;
}

// A larger ring, with the pages from `first_page` on in their places there.
void LayerCache::grow_ring(int64_t first_page, int64_t num_pages) {
    LayerCache larger(format, num_heads, head_dim, window, 0);
    larger.pages_per_chunk_ = num_pages;
    larger.chunks_.push_back(larger.new_chunk());
    for (int64_t page = first_page; page < pages_of(length_); ++page)
        std::memcpy(larger.head_of_page(page, 0), head_of_page(page, 0), size_t(page_bytes_));
    larger.length_ = length_;
    larger.oldest_ = std::max(oldest_, first_page * PAGE);
    *this = std::move(larger);
}

// Where forks share the chunk of `page`, it is copied; whatever it holds from `page` on is about to be written.
void LayerCache::own_chunks_from(int64_t page) {
    const size_t i = size_t(page / pages_per_chunk_);
    if (i >= chunks_.size()) return;
    if (chunks_[i].use_count() > 1) {
        Chunk own = new_chunk();
        std::memcpy(own.get(), chunks_[i].get(), size_t((page % pages_per_chunk_ + 1) * page_bytes_));
        chunks_[i] = std::move(own);
    } else {
        std::atomic_thread_fence(std::memory_order_acquire);  // a fork on another thread may have read it until just now
    }
}

void LayerCache::trim(int64_t length) {
    if (length < 0 || length > length_)
        throw std::invalid_argument("cannot trim a K/V cache of " + std::to_string(length_) + " positions to " +
                                    std::to_string(length));
    if (window && length && length < length_ && oldest_ > std::max<int64_t>(0, length - window + 1))
        throw std::invalid_argument("cannot trim to " + std::to_string(length) + ": a row there sees " + std::to_string(window) +
                                    " positions, and the ring holds none before " + std::to_string(oldest_));
    length_ = length;
    if (!length) oldest_ = 0;
    if (!window) chunks_.resize(size_t((pages_of(length) + pages_per_chunk_ - 1) / pages_per_chunk_));
}

LayerCache LayerCache::fork() const {
    LayerCache other(format, num_heads, head_dim, window, 0);
    other.pages_per_chunk_ = pages_per_chunk_;
    other.length_ = length_;
    other.oldest_ = oldest_;
    other.chunks_ = chunks_;
    if (window && !chunks_.empty()) {
        other.chunks_[0] = other.new_chunk();
        std::memcpy(other.chunks_[0].get(), chunks_[0].get(), size_t(pages_per_chunk_ * page_bytes_));
    }
    return other;
}

int64_t LayerCache::nbytes() const { return int64_t(chunks_.size()) * pages_per_chunk_ * page_bytes_; }

}  // namespace gemsmith
