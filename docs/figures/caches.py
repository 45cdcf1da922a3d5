"""A ring beside storage that grows: where the positions of one sequence stand after eleven tokens."""

from __future__ import annotations

from collections.abc import Iterator

from docs.figures.svg import arrow, box, drawing, label

WIDTH, CELL, LEFT = 440, 30, 40
LENGTH, WINDOW, STEP = 11, 8, 4  # small, so that every slot can be drawn


def figure() -> str:
    """Two rows of slots, each with the position it holds."""
    capacity = -(-LENGTH // STEP) * STEP
    return drawing(
        *("caches", WIDTH, 220, "A ring of eight slots and storage that grows, after eleven tokens"),
        f"After {LENGTH} tokens, with a window of {WINDOW} and storage that grows by {STEP}. Position p of a sliding"
        " layer stands in slot p mod window.",
        [*growing(capacity), *ring()],
    )


def growing(capacity: int) -> Iterator[str]:
    yield label(LEFT, 18, "full layer: every position, in steps", "bold full-ink")
    for slot in range(capacity):
        held = slot < LENGTH
        yield box(LEFT + slot * CELL, 30, CELL - 3, 30, "full" if held else "full hollow", 3)
        yield label(LEFT + slot * CELL + 13.5, 49, str(slot) if held else "", "small full-ink", "middle")
    yield label(LEFT + capacity * CELL - 3, 76, "reserved", "small", "end")


def ring() -> Iterator[str]:
    yield label(LEFT, 106, "sliding layer: the window, over and over", "bold sliding-ink")
    for slot in range(WINDOW):
        position = LENGTH - 1 - (LENGTH - 1 - slot) % WINDOW
        yield box(LEFT + slot * CELL, 118, CELL - 3, 30, "sliding", 3)
        yield label(LEFT + slot * CELL + 13.5, 137, str(position), "small sliding-ink", "middle")
    x = LEFT + LENGTH % WINDOW * CELL + 13.5
    yield arrow(x, 178, x, 152)
    yield label(x, 194, f"position {LENGTH} goes here: {LENGTH - WINDOW} is", "small")
    yield label(x, 209, "out of every later token's sight", "small")
