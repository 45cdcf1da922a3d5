// A text as the symbols that byte-pair encoding begins with, cut into pieces that merges cannot join.
//
// A character is the token of that name, or the tokens of its bytes. Where no merge joins a token that ends in one
// symbol with a token that begins with the next, the text falls apart there: encoding the pieces is encoding the whole.
// In Gemma's vocabulary that is before nearly every space and around digits, newlines and emoji, so that a piece is a
// word; only long runs and text without spaces make long pieces.
#pragma once

#include <string_view>
#include <vector>

#include "table.h"

namespace gemsmith::tokenizer {

class Symbols {
public:
    Symbols(const Table& table, std::string_view text) : table_(&table), text_(text) {}

    bool at_end() const { return next_ == count_ && at_ == text_.size(); }

    // The place in the text, in bytes, that a status other than `ok` speaks of.
    size_t at() const { return at_; }

    // Appends to `piece` up to its end, or until it has `limit` symbols; `*ended` tells which.
    Status read(std::vector<uint32_t>& piece, size_t limit, bool* ended) {
        uint32_t last = piece.empty() ? NONE : piece.back();
        *ended = false;
        while (piece.size() < limit) {
            if (next_ == count_) {
                if (at_ == text_.size()) {
                    *ended = true;
                    return Status::ok;
                }
                if (const Status status = decode(); status != Status::ok) return status;
            }
            const uint32_t symbol = pending_[next_];
            if (!piece.empty() && !table_->may_join(last, symbol)) {
                *ended = true;
                return Status::ok;
            }
            piece.push_back(last = symbol);
            ++next_;
        }
        return Status::ok;
    }

private:
    // The next character's symbols into `pending_`; `at_` moves behind it, but for a character that has none.
    Status decode() {
        uint32_t code = 0;
        const size_t length = character_at(&code);
        if (length == 0) return Status::not_utf8;
        if (code == ' ') code = 0x2581;  // spaces are this character inside the vocabulary, as in SentencePiece
        next_ = 0;
        count_ = 1;
        pending_[0] = table_->character(code);
        if (pending_[0] == NONE && !bytes_of(code, length)) {
            count_ = 0;
            return Status::no_symbol;
        }
        at_ += length;
        return Status::ok;
    }

    bool bytes_of(uint32_t code, size_t length) {
        static constexpr char SPACE[] = "\xE2\x96\x81";
        const std::string_view bytes = code == 0x2581 ? std::string_view(SPACE, 3) : text_.substr(at_, length);
        count_ = 0;
        for (const char byte : bytes) {
            const uint32_t symbol = table_->byte_symbol(static_cast<uint8_t>(byte));
            if (!table_->byte_fallback() || symbol == NONE) return false;
            pending_[count_++] = symbol;
        }
        return true;
    }

    // The bytes of the character at `at_` and its code point; 0 where that is no UTF-8 (RFC 3629, section 4).
    size_t character_at(uint32_t* code) const {
        const auto* bytes = reinterpret_cast<const uint8_t*>(text_.data()) + at_;
        const size_t left = text_.size() - at_;
        const uint32_t first = bytes[0];
        if (first < 0x80) {
            *code = first;
            return 1;
        }
        const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
        if (first < 0xC2 || first > 0xF4 || length > left) return 0;
        uint32_t value = first & (0x7F >> length);
        for (size_t i = 1; i < length; ++i) {
            if ((bytes[i] & 0xC0) != 0x80) return 0;
            value = value << 6 | (bytes[i] & 0x3F);
        }
        static constexpr uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
        if (value < LEAST[length] || value >= CODE_POINTS || (value >= 0xD800 && value < 0xE000)) return 0;
        *code = value;
        return length;
    }

    const Table* table_;
    std::string_view text_;
    size_t at_ = 0;
    uint32_t pending_[4] = {};  // of one character
    int next_ = 0, count_ = 0;
};

}  // namespace gemsmith::tokenizer
