"""A thousand damaged files from the kept corpus: each is answered or refused in known words, and nothing else happens.

Damage is seeded: bits flipped, ends cut off, parts of the same or another file spliced in, and numbers in headers made
to lie. The corpus is made by `corpus.make`.
"""

from __future__ import annotations

import os
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gemsmith.errors import MediaError
from gemsmith.media.clip import clip
from gemsmith.media.document import pages
from gemsmith.media.picture import picture
from gemsmith.media.settings import MediaSettings
from gemsmith.media.sound import sound
from gemsmith.media.worker.texts import CODES

CORPUS = {
    path.name: path.read_bytes()
    for path in sorted((Path(__file__).parent / "corpus").glob("*.*"))
    if path.suffix != ".py"
}
COUNT = 1000
LIES = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\0\0\0\1", b"\1\0\0\0", b"\0\1\0\0"]
SETTINGS = MediaSettings(timeout_s=15, max_seconds=600, max_pages=8, max_pixels=20_000_000, max_memory=1 << 30)

# no path, address or words of a decoder; see also gemsmith.media.worker.texts
FORBIDDEN = re.compile(r"[/\\<>{}\[\]\"`]|0x|Traceback|Errno|av\.|PIL|libav|None")


def looked_at(kind: str, data: bytes) -> str:
    """What became of a file: "answer", or the code of its refusal. Asserts that an answer is one."""
    if kind == "picture":
        seen = picture(data, tokens=70, settings=SETTINGS)
        check_rgb(seen.rgb[None], 70, seen.size)
    elif kind == "document":
        for page in pages(data, tokens=70, settings=SETTINGS):
            check_rgb(page.rgb[None], 70, page.size)
    elif kind == "sound":
        check_samples(sound(data, settings=SETTINGS).samples)
    else:
        shown = clip(data, frames=4, settings=SETTINGS)
        check_rgb(shown.frames.rgb, 70, shown.frames.size)
        assert len(shown.frames.seconds) == len(shown.frames.rgb) <= 4
        assert list(shown.frames.seconds) == sorted(shown.frames.seconds)
        if shown.sound is not None:
            check_samples(shown.sound.samples)
    return "answer"


def check_rgb(rgb: np.ndarray, tokens: int, size: tuple[int, int]) -> None:
    _, height, width, channels = rgb.shape
    assert rgb.dtype == np.uint8 and channels == 3 and height % 48 == width % 48 == 0
    assert 0 < height * width <= tokens * 48 * 48 and min(size) > 0


def check_samples(samples: np.ndarray) -> None:
    assert samples.dtype == np.float32 and samples.ndim == 1 and 0 < len(samples) <= SETTINGS.max_seconds * 16_000
    assert np.isfinite(samples).all() and np.abs(samples).max() <= 1


def flipped(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 2, 8, 64))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def truncated(data: bytearray, dice: random.Random) -> None:
    del data[dice.choice((dice.randrange(len(data)), len(data) - dice.randrange(1, 20), dice.randrange(1, 64))) :]


def spliced(data: bytearray, dice: random.Random) -> None:
    other = CORPUS[dice.choice(sorted(CORPUS))] if dice.random() < 0.5 else bytes(data)
    start, length = dice.randrange(len(other)), dice.choice((4, 50, 600))
    at = dice.randrange(len(data))
    data[at : at + dice.choice((0, length))] = other[start : start + length]


def lied(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 1, 3))):
        at = dice.randrange(4, min(len(data) - 4, 1200))
        data[at : at + 4] = dice.choice(LIES)


DAMAGE: tuple[Callable[[bytearray, random.Random], None], ...] = (flipped, truncated, spliced, lied)


def damaged(number: int) -> tuple[str, bytes]:
    """(what it is taken for, the file) number `number` of the soak."""
    dice = random.Random(number)
    name = sorted(CORPUS)[number % len(CORPUS)]
    data = bytearray(CORPUS[name])
    for _ in range(dice.choice((1, 1, 2))):
        if len(data) > 12:
            dice.choice(DAMAGE)(data, dice)
    kind = name.split(".")[0] if dice.random() < 0.9 else dice.choice(("picture", "document", "sound", "clip"))
    return kind, bytes(data)


def outcome(number: int) -> tuple[str, str, str]:
    """(kind, "answer" or code, the text of a refusal without its numbers)."""
    kind, data = damaged(number)
    try:
        return kind, looked_at(kind, data), ""
    except MediaError as error:
        assert error.code in CODES and not FORBIDDEN.search(str(error)), (number, str(error))
        return kind, error.code, re.sub(r"\d+(\.\d+)?", "N", str(error))


def held() -> dict[str, int]:
    """What this process holds: descriptors, threads, children."""
    this = psutil.Process()
    return {"fds": this.num_fds(), "threads": threading.active_count(), "children": len(this.children(recursive=True))}


def undamaged(name: str) -> Any:
    return looked_at(name.split(".")[0], CORPUS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CORPUS))
def test_the_corpus_is_whole(name: str) -> None:
    assert undamaged(name) == "answer"
    assert sum(map(len, CORPUS.values())) < 300_000


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux does")
def test_a_thousand_damaged_files_are_answered_or_refused_and_nothing_else_happens() -> None:
    with ThreadPoolExecutor(2) as both:  # both decoding processes are started, everything is imported
        list(both.map(undamaged, sorted(CORPUS) * 2))
    before, resident, folder = held(), psutil.Process().memory_info().rss, set(os.listdir())
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(outcome, range(COUNT)))
    after = held()
    assert after["children"] <= 2 and after["fds"] <= before["fds"] and after["threads"] <= before["threads"]
    assert psutil.Process().memory_info().rss - resident < 64 << 20
    assert set(os.listdir()) == folder
    for child in psutil.Process().children(recursive=True):
        assert child.memory_info().rss < SETTINGS.max_memory and child.num_fds() < 32

    codes, texts = Counter(code for _, code, _ in found), Counter(text for *_, text in found)
    print(dict(codes), *(f"{count:5} {text}" for text, count in texts.most_common()), sep="\n")
    assert len(texts) <= 40  # fixed texts: were they made of what is in the files, there would be hundreds
    assert codes["answer"] > COUNT / 10 and codes["media_damaged"] > COUNT / 10
    assert codes["media_decode_failed"] < COUNT / 50
