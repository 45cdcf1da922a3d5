"""The size of a picture, and its pixels, as the released image processor makes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.resize import BUDGETS, SIDE, check_pixels, fitted_size, resized
from tests.media.pictures import photo

SIDES = (1, 2, 47, 48, 49, 333, 480, 1080, 4000, 8000, 65_535)


@pytest.mark.parametrize(
    ("width", "height", "tokens", "fitted"),
    [
        (1024, 1024, 280, (768, 768)),
        (1920, 1080, 280, (1056, 576)),
        (1920, 1080, 70, (528, 288)),
        (640, 480, 280, (912, 672)),  # made larger
        (2000, 3000, 1120, (1296, 1920)),
        (1, 4000, 280, (48, 280 * 48)),
        (4000, 1, 70, (70 * 48, 48)),
        (300, 1, 280, (280 * 48, 48)),
        (1, 1, 70, (384, 384)),
    ],
)
def test_worked_sizes(width: int, height: int, tokens: int, fitted: tuple[int, int]) -> None:
    assert fitted_size(width, height, tokens) == fitted


@pytest.mark.parametrize("tokens", BUDGETS)
def test_every_size_is_within_its_budget(tokens: int) -> None:
    for width in SIDES:
        for height in SIDES:
            fitted = fitted_size(width, height, tokens)
            assert min(fitted) >= SIDE and not any(side % SIDE for side in fitted)
            assert math.prod(fitted) <= tokens * SIDE**2


@pytest.mark.parametrize("tokens", [0, 1, 69, 256, 281, 1121, -70, 280.5, True, None])
def test_other_budgets_are_refused_with_those_there_are(tokens: int) -> None:
    with pytest.raises(RequestError, match="70, 140, 280, 560 or 1120 tokens"):
        fitted_size(640, 480, tokens)


def test_no_pixels_and_too_many_are_refused() -> None:
    with pytest.raises(MediaError, match="holds nothing to see"):
        fitted_size(0, 5, 280)
    with pytest.raises(MediaError, match="more than the 99 that are read"):
        check_pixels(10, 10, 99)
    check_pixels(10, 10, 100)


def test_an_array_and_a_picture_are_resized_alike() -> None:
    picture = photo(123, 77)
    rgb = resized(np.asarray(picture), 70)
    width, height = fitted_size(123, 77, 70)
    assert rgb.dtype == np.uint8 and rgb.shape == (height, width, 3)
    np.testing.assert_array_equal(rgb, resized(picture, 70))
