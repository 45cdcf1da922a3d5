// Ids to bytes: a token writes its text with spaces for U+2581, a byte token the byte it names.
#include "encode.h"

namespace gemsmith::tokenizer {

namespace {

constexpr std::string_view SPACE = "\xE2\x96\x81";

uint8_t hex_digit(char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

void append_with_spaces(std::string_view text, std::string& bytes) {
    for (size_t at; (at = text.find(SPACE)) != std::string_view::npos; text.remove_prefix(at + SPACE.size())) {
        bytes.append(text.substr(0, at));
        bytes.push_back(' ');
    }
    bytes.append(text);
}

}  // namespace

Outcome decode(const Table& table, const int64_t* ids, size_t count, bool control, std::string& bytes) {
    for (size_t i = 0; i < count; ++i) {
        if (ids[i] < 0 || ids[i] >= table.num_tokens()) return {Status::no_token, i};
        const auto id = static_cast<uint32_t>(ids[i]);
        const uint8_t kind = table.kind(id);
        const char *begin = nullptr, *end = nullptr;
        if (!table.text(id, &begin, &end)) return {Status::damaged, i};
        const std::string_view text(begin, end - begin);
        if (kind & CONTROL) {
            if (control) bytes.append(text);
        } else if (kind & BYTE) {  // <0xNN>
            if (text.size() != 6) return {Status::damaged, i};
            bytes.push_back(static_cast<char>(hex_digit(text[3]) << 4 | (hex_digit(text[4]) & 15)));
        } else {
            append_with_spaces(text, bytes);
        }
    }
    return {Status::ok, 0};
}

}  // namespace gemsmith::tokenizer
