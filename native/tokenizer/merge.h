// Byte-pair merging of one run of symbols: of all neighbours that a merge names, those of the lowest rank go first, and
// of equals the leftmost, until none are left.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "table.h"

namespace gemsmith::tokenizer {

// A token and where it ends, counted in symbols from the start of its run.
struct Token {
    uint32_t id, end;
};

class Merger {
public:
    explicit Merger(const Table& table) : table_(&table) {}

    // The tokens that `count` symbols become.
    void merge(const uint32_t* symbols, size_t count, std::vector<Token>& tokens) {
        tokens.clear();
        if (count <= SHORT)
            merge_short(symbols, count, tokens);
        else
            merge_long(symbols, count, tokens);
    }

private:
    // Up to this length looking at all ranks anew for each merge is quicker than keeping them in order.
    static constexpr size_t SHORT = 32;

    void merge_short(const uint32_t* symbols, size_t count, std::vector<Token>& tokens) {
        uint32_t ids[SHORT], ends[SHORT], ranks[SHORT];
        for (size_t i = 0; i < count; ++i) {
            ids[i] = symbols[i];
            ends[i] = static_cast<uint32_t>(i + 1);
            ranks[i] = i + 1 < count ? table_->rank(symbols[i], symbols[i + 1]) : NONE;
        }
        while (count > 1) {
            const size_t at = std::min_element(ranks, ranks + count - 1) - ranks;
            if (ranks[at] == NONE) break;
            ids[at] = table_->merged(ranks[at]);
            --count;
            std::copy(ids + at + 2, ids + count + 1, ids + at + 1);
            std::copy(ends + at + 1, ends + count + 1, ends + at);
            std::copy(ranks + at + 2, ranks + count + 1, ranks + at + 1);
            ranks[at] = at + 1 < count ? table_->rank(ids[at], ids[at + 1]) : NONE;
            if (at > 0) ranks[at - 1] = table_->rank(ids[at - 1], ids[at]);
        }
        for (size_t i = 0; i < count; ++i) tokens.push_back({ids[i], ends[i]});
    }

    // A list of what is left and a heap of (rank, place): n log n. A heap entry whose rank is no longer that of its
    // place has been overtaken, and is passed over.
    void merge_long(const uint32_t* symbols, size_t count, std::vector<Token>& tokens) {
        const auto size = static_cast<uint32_t>(count);
        nodes_.resize(count);
        heap_.clear();
        for (uint32_t i = 0; i < size; ++i) {
            const uint32_t rank = i + 1 < size ? table_->rank(symbols[i], symbols[i + 1]) : NONE;
            nodes_[i] = {symbols[i], rank, i - 1, i + 1};  // NONE before the first
            if (rank != NONE) heap_.push_back(uint64_t{rank} << 32 | i);
        }
        std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
        while (!heap_.empty()) {
            std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
            const uint64_t lowest = heap_.back();
            heap_.pop_back();
            const auto rank = static_cast<uint32_t>(lowest >> 32), left = static_cast<uint32_t>(lowest);
            if (nodes_[left].rank != rank) continue;
            const uint32_t right = nodes_[left].after, after = nodes_[right].after;
            nodes_[left].id = table_->merged(rank);
            nodes_[left].after = after;
            nodes_[right].rank = NONE;
            if (after < size) nodes_[after].before = left;
            update(left, size);
            if (left > 0) update(nodes_[left].before, size);
        }
        for (uint32_t i = 0; i < size; i = nodes_[i].after) tokens.push_back({nodes_[i].id, nodes_[i].after});
    }

    // Looks up anew the pair that begins at `left`, one half of which has just grown.
    void update(uint32_t left, uint32_t size) {
        Node& node = nodes_[left];
        node.rank = node.after < size ? table_->rank(node.id, nodes_[node.after].id) : NONE;
        if (node.rank == NONE) return;
        heap_.push_back(uint64_t{node.rank} << 32 | left);
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }

    struct Node {
        uint32_t id, rank, before, after;  // rank: of this and the one after it
    };

    const Table* table_;
    std::vector<Node> nodes_;
    std::vector<uint64_t> heap_;
};

}  // namespace gemsmith::tokenizer
