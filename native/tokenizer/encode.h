// Text to ids, and ids to text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "table.h"

namespace gemsmith::tokenizer {

// What became of a call; `at` is the byte of the text, or the place in the ids, that is to blame.
struct Outcome {
    Status status;
    size_t at;
};

// Pieces longer than this, in symbols, are merged window by window, so that the work stays in the processor's cache.
constexpr size_t WINDOW = 1024;

// Appends the ids of `text`, which is UTF-8 and taken as content: no control token can come out of it.
Outcome encode(const Table& table, std::string_view text, std::vector<int32_t>& ids, size_t window = WINDOW);

// Appends the bytes that `ids` write; control tokens write nothing, or what they are called if `control`.
Outcome decode(const Table& table, const int64_t* ids, size_t count, bool control, std::string& bytes);

}  // namespace gemsmith::tokenizer
