// Text to ids: piece by piece, and long pieces window by window, exactly.
//
// Why windows are exact. Take runs of symbols A, B, C, ... and merge each alone. If merging A and B together gives what
// they gave alone, no merge crossed that seam; and as long as no seam is crossed, the merges within a run and its
// neighbour come in the same order in the whole as in the two alone. So if no two neighbours interfere, nothing does,
// and the tokens of the whole are those of the parts. The same holds with single tokens for the runs: **a row of tokens
// is the encoding of its text if each two neighbours, merged from their symbols, come out as themselves.** Tokens of one
// window fulfil that among themselves already, and one look at the seam shows whether the next window may follow. The
// lemma for byte-level vocabularies is that of github.com/github/rust-gems, crates/bpe, which decides every token by it.
#include "encode.h"

#include "merge.h"
#include "symbols.h"

namespace gemsmith::tokenizer {

namespace {

constexpr size_t LEAST_WINDOW = 16;  // an eighth of it is more than nothing

class Encoder {
public:
    Encoder(const Table& table, std::string_view text, std::vector<int32_t>& ids, size_t window)
        : table_(table), symbols_(table, text), ids_(ids), window_(std::max(window, LEAST_WINDOW)), merger_(table) {}

    Outcome run() {
        while (!symbols_.at_end()) {
            if (const Status status = next_piece(); status != Status::ok) return {status, symbols_.at()};
        }
        return {Status::ok, 0};
    }

private:
    Status next_piece() {
        const Symbols start = symbols_;
        const size_t num_ids = ids_.size();
        if (const Status status = read_and_merge(window_); status != Status::ok || ended_)
            return status == Status::ok ? write(tokens_.size()) : status;
        const Status status = windows();
        if (!torn_) return status;
        symbols_ = start;
        ids_.resize(num_ids);
        torn_ = false;
        if (const Status again = read_and_merge(NONE - 1); again != Status::ok) return again;
        return write(tokens_.size());
    }

    // The first `size` symbols of the next piece become `tokens_`; `ended_` if that is all of it.
    Status read_and_merge(size_t size) {
        piece_.clear();
        if (const Status status = symbols_.read(piece_, size, &ended_); status != Status::ok) return status;
        merger_.merge(piece_.data(), piece_.size(), tokens_);
        return Status::ok;
    }

    // The rest of a piece whose first window is `tokens_`; `torn_` if two windows do not fit together.
    Status windows() {
        while (!ended_) {
            size_t kept = 0;
            if (const Status status = next_window(&kept); status != Status::ok || torn_) return status;
            if (const Status status = write(kept); status != Status::ok) return status;
            piece_.erase(piece_.begin(), piece_.begin() + tokens_[kept - 1].end);
            tokens_.swap(next_);
        }
        return write(tokens_.size());
    }

    // Finds how many tokens of this window, ending well before it does, may be `kept`: those that `next_`, the tokens
    // of the window behind them, fits. Four tries fail on hardly any text but one written for the purpose.
    Status next_window(size_t* kept) {
        const size_t far = tokens_.back().end - tokens_.back().end / 8;
        *kept = tokens_.size();
        while (*kept > 0 && tokens_[*kept - 1].end > far) --*kept;
        for (int tries = 0; tries < 4 && *kept > 0; ++tries, *kept -= (*kept + 3) / 4) {
            const size_t cut = tokens_[*kept - 1].end;
            bool all_read = false;
            if (const Status status = symbols_.read(piece_, cut + window_, &all_read); status != Status::ok)
                return status;
            const size_t size = std::min(window_, piece_.size() - cut);
            merger_.merge(piece_.data() + cut, size, next_);
            ended_ = all_read && cut + size == piece_.size();
            if (fits(*kept, cut)) return Status::ok;
        }
        torn_ = true;
        return Status::ok;
    }

    // Whether the last token kept and the first of the next window, merged together, stay themselves.
    bool fits(size_t kept, size_t cut) {
        const size_t from = kept > 1 ? tokens_[kept - 2].end : 0, to = cut + next_[0].end;
        merger_.merge(piece_.data() + from, to - from, seam_);
        return seam_.size() == 2 && seam_[0].id == tokens_[kept - 1].id && seam_[0].end == cut - from &&
               seam_[1].id == next_[0].id;
    }

    Status write(size_t count) {
        for (size_t i = 0; i < count; ++i) {
            const uint32_t id = tokens_[i].id;
            if (id >= table_.num_tokens() || table_.kind(id) & CONTROL) return Status::damaged;
            ids_.push_back(static_cast<int32_t>(id));
        }
        return Status::ok;
    }

    const Table& table_;
    Symbols symbols_;
    std::vector<int32_t>& ids_;
    const size_t window_;
    Merger merger_;
    bool ended_ = false, torn_ = false;
    std::vector<uint32_t> piece_;  // symbols, from the start of the window on
    std::vector<Token> tokens_, next_, seam_;
};

}  // namespace

Outcome encode(const Table& table, std::string_view text, std::vector<int32_t>& ids, size_t window) {
    return Encoder(table, text, ids, window).run();
}

}  // namespace gemsmith::tokenizer
