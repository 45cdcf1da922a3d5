// Attention over ring and full caches: every instruction set agrees with the portable one, whatever the formats,
// head counts, windows, and numbers of rows; a row alone gives the bits it gives among others.
#include "agree.h"
#include "attention/call.h"

using namespace gemsmith;
using namespace gemsmith::tests;

namespace {

struct Case {
    KvFormat format;
    std::int64_t kv_heads, heads, head_dim, window, length, rows;
};

// All rows' results: the last `rows` of `length` positions look back, each as far as the window lets it.
std::vector<float> attended(const IsaTable& table, const Case& c, std::int64_t from, std::int64_t rows) {
    Random random(3);  // the same keys, values and queries every time
    LayerCache cache(c.format, c.kv_heads, c.head_dim, c.window, c.rows);
    for (std::int64_t position = 0; position < c.length; ++position) {
        if (position < c.length - c.rows) cache.reserve(position, position + 1);
        if (position == c.length - c.rows) cache.reserve(position, c.length);
        for (std::int64_t head = 0; head < c.kv_heads; ++head) {
            const auto key = random.numbers(c.head_dim), value = random.numbers(c.head_dim, true);
            table.append(cache, position, head, key.data(), value.data());
        }
    }
    const std::int64_t stride = c.heads * c.head_dim;
    const auto queries = random.numbers(c.rows * stride);
    std::vector<std::int64_t> first, end;
    for (std::int64_t r = 0; r < c.rows; ++r) {
        end.push_back(c.length - c.rows + r + 1);
        first.push_back(c.window && end.back() > c.window ? end.back() - c.window : 0);
    }
    std::vector<float> out(rows * stride);
    AttentionCall call{&cache, queries.data() + from * stride, stride, rows, c.heads, &first[from], &end[from],
                       out.data(), stride, nullptr};
    std::vector<float> scratch(attention_scratch(call));
    call.scratch = scratch.data();
    for (std::int64_t task = attention_tasks(call); task-- > 0;) table.attend(call, task);  // any order will do
    for (std::int64_t task = 0; task < merge_tasks(call); ++task) table.merge(call, task);
    return out;
}

}  // namespace

int main() {
    constexpr KvFormat formats[] = {KvFormat::F32, KvFormat::BF16, KvFormat::Q8};
    constexpr const char* names[] = {"attention F32", "attention BF16", "attention Q8"};
    constexpr Case shapes[] = {
        {KvFormat::F32, 1, 8, 256, 0, 1, 1},     {KvFormat::F32, 1, 8, 512, 0, 700, 1},
        {KvFormat::F32, 2, 4, 32, 64, 300, 9},   {KvFormat::F32, 1, 4, 64, 0, 321, 40},
        {KvFormat::F32, 8, 16, 256, 130, 290, 3}, {KvFormat::F32, 2, 16, 512, 0, 130, 5},
    };
    for (int i = 0; i < 3; ++i)
        for (Case c : shapes) {
            c.format = formats[i];
            const auto wanted = attended(portable(), c, 0, c.rows);
            for (const IsaTable* table : others()) {
                const auto found = attended(*table, c, 0, c.rows);
                // values have outliers of a thousand: sums of many of them are close to that, not to one
                agree(names[i], table->name, found, wanted, 2e-4f);
                const std::int64_t stride = c.heads * c.head_dim;
                for (std::int64_t r = 0; r < c.rows; ++r)
                    agree("one row", table->name, attended(*table, c, r, 1),
                          {found.begin() + r * stride, found.begin() + (r + 1) * stride}, 0);
            }
        }
    return ended("attention");
}
