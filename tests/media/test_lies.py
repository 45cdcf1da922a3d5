"""A decoding process that answers with what no honest one answers: every lie is nonsense, in known words, here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gemsmith.errors import MediaError
from gemsmith.media import worker
from gemsmith.media.clip import clip
from gemsmith.media.document import pages
from gemsmith.media.draw import SIGNATURE, draw
from gemsmith.media.picture import picture
from gemsmith.media.resize import fitted_size
from gemsmith.media.settings import MediaSettings
from gemsmith.media.sound import sound
from gemsmith.media.worker.texts import TEXTS

SETTINGS = MediaSettings(max_pixels=1000, max_seconds=1, max_pages=2, max_frames=4)
WIDTH, HEIGHT = fitted_size(20, 10, 70)
RGB = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
PNG = np.frombuffer(SIGNATURE, np.uint8)
WAVE = np.zeros(100, np.float32)
FRAMES = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
SEEN = {"seconds": [0.0, 1.0], "size": [20, 10], "total": 2, "duration": 2.0}
SIZES: list[Any] = [None, [], [20], [20, 10, 1], [0, 10], [-20, -10], [20.0, 10], ["20", 10], [10**5000, 10], [2000, 1]]
FACES: dict[str, Callable[[], Any]] = {
    "picture": lambda: picture(b"x", tokens=70, settings=SETTINGS),
    "document": lambda: pages(b"x", tokens=70, settings=SETTINGS),
    "draw": lambda: draw(b"x", settings=SETTINGS),
    "sound": lambda: sound(b"x", settings=SETTINGS),
    "clip": lambda: clip(b"x", settings=SETTINGS),
    "frames": lambda: clip(b"x", frames=1, settings=SETTINGS),
    "silent": lambda: clip(b"x", sound=False, settings=SETTINGS),
}
TRUE: dict[str, tuple[dict[str, Any], list[np.ndarray]]] = {
    "picture": ({"size": [20, 10]}, [RGB]),
    "document": ({"sizes": [[20, 10]]}, [RGB]),
    "draw": ({"size": [20, 10]}, [PNG]),
    "sound": ({}, [WAVE]),
    "clip": (SEEN, [FRAMES, WAVE]),
    "frames": (SEEN | {"seconds": [0.0]}, [FRAMES[:1]]),
    "silent": (SEEN, [FRAMES]),
}
LIES: list[tuple[str, dict[str, Any], list[np.ndarray]]] = [
    *((job, {"size": size}, TRUE[job][1]) for job in ("picture", "draw") for size in SIZES),
    *(("document", {"sizes": [size]}, [RGB]) for size in SIZES),
    *(("clip", SEEN | {"size": size}, [FRAMES]) for size in SIZES),
    *((job, {}, TRUE[job][1]) for job in TRUE if job != "sound"),
    *((job, TRUE[job][0], []) for job in TRUE),
    *((job, TRUE[job][0], [*TRUE[job][1], WAVE]) for job in TRUE if job != "frames"),
    *((job, TRUE[job][0], [each[..., :-1] for each in TRUE[job][1]]) for job in TRUE if job not in ("sound", "silent")),
    ("draw", {"size": [20, 10]}, [PNG[1:]]),
    ("document", {"sizes": []}, []),
    ("document", {"sizes": [[20, 10]] * 3}, [RGB] * 3),
    ("document", {"sizes": 5}, [RGB]),
    *(("sound", {}, [np.full(9, number, np.float32)]) for number in (np.nan, np.inf, -1.1, 1.1)),
    ("sound", {}, [np.zeros(16_001, np.float32)]),
    ("clip", SEEN, [FRAMES, np.full(9, np.nan, np.float32)]),
    *(("clip", SEEN | {"seconds": seconds}, [FRAMES]) for seconds in ([0.0], [1.0, 0.0], [0, 1], [0.0, np.inf], 5)),
    ("clip", SEEN | {"seconds": [np.nan, 0.0]}, [FRAMES]),
    *(("clip", SEEN | {"duration": duration}, [FRAMES]) for duration in (np.nan, np.inf, -1.0, 2, "2")),
    *(("clip", SEEN | {"total": total}, [FRAMES]) for total in (0, -1, 1, 2.0, None)),
    ("clip", SEEN | {"seconds": [0.0] * 5, "total": 9}, [np.zeros((5, HEIGHT, WIDTH, 3), np.uint8)]),
    ("frames", SEEN, [FRAMES]),
]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the decoding process answer with this."""

    def set_(values: dict[str, Any], arrays: list[np.ndarray]) -> None:
        monkeypatch.setattr(worker, "run", lambda *_: (values, arrays))

    return set_


@pytest.mark.parametrize("face", TRUE)
def test_what_can_be_so_passes(face: str, answers: Callable[..., None]) -> None:
    answers(*TRUE[face])
    assert FACES[face]()


@pytest.mark.parametrize("number", range(len(LIES)))
def test_a_lie_is_nonsense(number: int, answers: Callable[..., None]) -> None:
    face, values, arrays = LIES[number]
    answers(values, arrays)
    with pytest.raises(MediaError) as error:
        FACES[face]()
    assert (error.value.code, str(error.value)) == ("media_decode_failed", TEXTS["nonsense"])
