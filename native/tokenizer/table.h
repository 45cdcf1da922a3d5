// A vocabulary as a file that is used where it lies: texts, characters and merges, found without building anything.
//
// Opening looks at the header alone and takes the same time for any vocabulary; memory is the pages that texts touch.
// Every count and offset is held against the file's size on opening, and every number read later against its bound:
// a table that lies gives wrong ids or the status `damaged`, never a read outside it.
//
// Layout, little-endian; `gemsmith/tokenizer/table_writer.py` writes it, where each section is told:
//
//   0  "gemstok\n"   8  version   12  number of sections   16  bytes of the file (u64)
//   24 tokens   28 merges   32 longest probe   36 longest token in characters   40 flags   44 zero
//   48 bytes of the source (u64)   56 SHA-256 of all after the header   88 sections, each offset and bytes (u64)
//   508 CRC-32 of the header up to here
#pragma once

#include <cstddef>
#include <cstdint>

namespace gemsmith::tokenizer {

constexpr uint32_t NONE = 0xFFFFFFFF;        // no such symbol, an empty slot
constexpr uint32_t CODE_POINTS = 0x110000;   // of Unicode
constexpr uint32_t PAGE = 64;                // characters that share a page
constexpr uint32_t RANK_BITS = 22;           // of a slot; the other ten tell most strangers without a second look
constexpr uint64_t SPREAD = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio: multiplicative hashing, Knuth vol. 3, 6.4

enum class Status : int32_t { ok, not_utf8, no_symbol, no_token, damaged };

// Two neighbours and the token they become; its place in the list is its rank.
struct Merge {
    uint32_t left, right, id;
};

enum Kind : uint8_t { CONTROL = 1, BYTE = 2 };

class Table {
public:
    // Looks at the header of `bytes` bytes at `data`, which must outlive the table. Says what is wrong, or nullptr.
    const char* open(const std::byte* data, size_t bytes);

    uint32_t num_tokens() const { return num_tokens_; }
    bool byte_fallback() const { return byte_fallback_; }
    uint8_t kind(uint32_t id) const { return kinds_[id]; }

    // The symbol that a character begins as, or NONE.
    uint32_t character(uint32_t code) const {
        const uint32_t page = pages_[code / PAGE];
        return page < num_pages_ ? characters_[page * PAGE + code % PAGE] : NONE;
    }

    uint32_t byte_symbol(uint8_t byte) const { return byte_symbols_[byte]; }

    // Whether some merge may join a token that ends in `left` with one that begins with `right`. True is sometimes
    // wrong (one bit serves several pairs); false never is.
    bool may_join(uint32_t left, uint32_t right) const {
        const uint64_t bit = spread(left, right) >> junction_shift_;
        return junctions_[bit / 64] >> (bit % 64) & 1;
    }

    // The rank at which two neighbours merge, or NONE.
    uint32_t rank(uint32_t left, uint32_t right) const {
        const uint64_t hash = spread(left, right);
        const uint64_t tag = hash >> (slot_shift_ - (32 - RANK_BITS)) & ((1u << (32 - RANK_BITS)) - 1);
        uint64_t at = hash >> slot_shift_;
        for (uint32_t probe = 0; probe < max_probe_; ++probe, at = (at + 1) & slot_mask_) {
            const uint32_t slot = slots_[at];
            if (slot == NONE) return NONE;
            if (slot >> RANK_BITS != tag) continue;
            const uint32_t rank = slot & ((1u << RANK_BITS) - 1);
            if (rank < num_merges_ && merges_[rank].left == left && merges_[rank].right == right) return rank;
        }
        return NONE;
    }

    uint32_t merged(uint32_t rank) const { return merges_[rank].id; }

    // The UTF-8 text of a token; false if the table is damaged there.
    bool text(uint32_t id, const char** begin, const char** end) const {
        const uint32_t from = ends_[id], to = ends_[id + 1];
        if (from > to || to > num_text_bytes_) return false;
        *begin = texts_ + from;
        *end = texts_ + to;
        return true;
    }

private:
    static uint64_t spread(uint32_t left, uint32_t right) {
        return (static_cast<uint64_t>(left) << 32 | right) * SPREAD;
    }

    uint32_t num_tokens_ = 0, num_merges_ = 0, max_probe_ = 0, num_pages_ = 0;
    uint32_t slot_shift_ = 0, junction_shift_ = 0;
    uint64_t slot_mask_ = 0, num_text_bytes_ = 0;
    bool byte_fallback_ = false;
    const uint32_t* ends_ = nullptr;  // [num_tokens + 1]: token i is texts[ends[i]:ends[i + 1]]
    const char* texts_ = nullptr;
    const uint8_t* kinds_ = nullptr;
    const uint16_t* pages_ = nullptr;
    const uint32_t* characters_ = nullptr;
    const uint32_t* byte_symbols_ = nullptr;
    const Merge* merges_ = nullptr;
    const uint32_t* slots_ = nullptr;
    const uint64_t* junctions_ = nullptr;
};

}  // namespace gemsmith::tokenizer
