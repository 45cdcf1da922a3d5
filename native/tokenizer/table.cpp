// Opening a table: the header against the file's size, and nothing else.
#include "table.h"

#include <bit>
#include <cstring>

namespace gemsmith::tokenizer {

static_assert(std::endian::native == std::endian::little, "tables are little-endian, and used without conversion");

namespace {

constexpr size_t HEADER_BYTES = 512;
constexpr char MAGIC[] = "gemstok\n";
constexpr uint32_t VERSION = 1, MAX_TOKENS = 1 << 19, MAX_PROBE = 1 << 10;

enum Section { ENDS, TEXTS, KINDS, PAGES, CHARACTERS, BYTES, MERGES, SLOTS, JUNCTIONS, LISTS, NUM_SECTIONS = LISTS + 4 };

struct Header {
    char magic[8];
    uint32_t version, num_sections;
    uint64_t file_bytes;
    uint32_t num_tokens, num_merges, max_probe, max_characters, flags, zero;
    uint64_t source_bytes;
    uint8_t sha256[32];
    struct {
        uint64_t offset, bytes;
    } sections[NUM_SECTIONS];
};
static_assert(sizeof(Header) == 88 + 16 * NUM_SECTIONS && sizeof(Header) <= HEADER_BYTES - 4);

bool power_of_two(uint64_t n, uint64_t least) { return n >= least && (n & (n - 1)) == 0; }

const char* problem(const Header& header, size_t bytes) {
    if (std::memcmp(header.magic, MAGIC, sizeof header.magic) != 0) return "does not begin with 'gemstok'";
    if (header.version != VERSION) return "has another version than 1";
    if (header.file_bytes != bytes) return "is cut short, or something was appended";
    if (header.num_sections != NUM_SECTIONS) return "has another number of sections than version 1";
    if (header.num_tokens > MAX_TOKENS) return "claims too many tokens";
    if (header.num_merges >= 1u << RANK_BITS) return "claims too many merges";
    for (const auto& section : header.sections) {
        if (section.offset < HEADER_BYTES || section.offset % 8 != 0) return "has a section out of place";
        if (section.offset > bytes || section.bytes > bytes - section.offset) return "has a section that ends outside";
    }
    const auto size = [&](int section) { return header.sections[section].bytes; };
    const uint64_t slots = size(SLOTS) / 4;
    if (size(ENDS) != 4ull * (header.num_tokens + 1) || size(KINDS) != header.num_tokens ||
        size(PAGES) != 2 * CODE_POINTS / PAGE || size(CHARACTERS) % (4 * PAGE) != 0 || size(CHARACTERS) >> 32 != 0 ||
        size(BYTES) != 4 * 256 || size(MERGES) != sizeof(Merge) * uint64_t{header.num_merges} ||
        size(SLOTS) % 4 != 0 || !power_of_two(slots, 2) || slots > 1ull << 32 ||
        !power_of_two(size(JUNCTIONS), sizeof(uint64_t)))
        return "has a section whose size contradicts the header";
    if (header.max_probe > MAX_PROBE || header.max_probe > slots) return "claims an absurd probe length";
    return nullptr;
}

}  // namespace

const char* Table::open(const std::byte* data, size_t bytes) {
    if (bytes < HEADER_BYTES) return "is too short for a header";
    if (reinterpret_cast<uintptr_t>(data) % alignof(uint64_t) != 0) return "does not lie at a multiple of 8 bytes";
    Header header;
    std::memcpy(&header, data, sizeof header);
    if (const char* wrong = problem(header, bytes)) return wrong;
    const auto at = [&](int section) { return data + header.sections[section].offset; };
    const auto size = [&](int section) { return header.sections[section].bytes; };
    num_tokens_ = header.num_tokens;
    num_merges_ = header.num_merges;
    max_probe_ = header.max_probe;
    byte_fallback_ = header.flags & 1;
    num_pages_ = static_cast<uint32_t>(size(CHARACTERS) / (4 * PAGE));
    num_text_bytes_ = size(TEXTS);
    slot_mask_ = size(SLOTS) / 4 - 1;
    slot_shift_ = 64 - std::countr_zero(slot_mask_ + 1);
    junction_shift_ = 64 - std::countr_zero(8 * size(JUNCTIONS));
    ends_ = reinterpret_cast<const uint32_t*>(at(ENDS));
    texts_ = reinterpret_cast<const char*>(at(TEXTS));
    kinds_ = reinterpret_cast<const uint8_t*>(at(KINDS));
    pages_ = reinterpret_cast<const uint16_t*>(at(PAGES));
    characters_ = reinterpret_cast<const uint32_t*>(at(CHARACTERS));
    byte_symbols_ = reinterpret_cast<const uint32_t*>(at(BYTES));
    merges_ = reinterpret_cast<const Merge*>(at(MERGES));
    slots_ = reinterpret_cast<const uint32_t*>(at(SLOTS));
    junctions_ = reinterpret_cast<const uint64_t*>(at(JUNCTIONS));
    return nullptr;
}

}  // namespace gemsmith::tokenizer
