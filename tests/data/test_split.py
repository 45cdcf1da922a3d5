"""Held out or not: decided by content alone, the same in every process."""

import random
import subprocess
import sys

from gemsmith.data.split import draw, is_heldout


def test_the_share_is_kept() -> None:
    for share in (0.1, 0.15):
        assert abs(sum(is_heldout(f"key {i}", share) for i in range(20_000)) / 20_000 - share) < 0.01


def test_another_process_decides_alike() -> None:
    code = "from gemsmith.data.split import is_heldout; print([is_heldout(str(i)) for i in range(200)])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str([is_heldout(str(i)) for i in range(200)])


def test_draw_stays_on_its_side() -> None:
    rng = random.Random(0)
    for _ in range(300):
        assert is_heldout(draw(lambda r: str(r.random()), str, rng, "heldout"))
        assert not is_heldout(draw(lambda r: str(r.random()), str, rng, "train"))
