"""Any picture that Pillow holds, as plain upright RGB: what a viewer of pictures would show.

- Transparency lies on white, as in transformers' image processor (`convert_to_rgb` in image_transforms.py).
- CMYK, YCbCr, HSV and LAB become RGB as Pillow converts them; colour profiles are not applied, as they are not there.
- More than 8 bits are scaled: whole numbers up to 65535 keep their high byte, fractions up to 1 become 0 to 255. Pillow
  itself, and with it transformers, cuts them off at 255, so that a 16-bit photograph is white. Numbers that all lie
  within 0 to 255 (and are not all within 0 to 1 in a picture of fractions) stay as they are; any others are stretched
  from the darkest to the brightest.

Works in bands of rows, so that little more than the picture and its RGB twin is in memory. Opens no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile

from gemsmith.errors import MediaError

BAND = 1 << 22  # pixels worked on at once
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes with more than 8 bits
PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}

# what EXIF says of the side the camera was held by, and what sets it upright (tag 0x0112 of EXIF 2.32)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB, turned as its EXIF data say. Decodes it, if that has not happened."""
    image.load()
    turn = _turn(image)
    image = _rgb(image)
    return image.transpose(turn) if turn is not None else image


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set a picture upright. What it says of itself may be damaged: then it stands as it is."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF is a format of its own, read in Python: any error may come of it
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP:
        return _shallow(image).convert("RGB")
    if image.mode in PREMULTIPLIED:
        image = image.convert(PREMULTIPLIED[image.mode])
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    return _on_white(image) if _is_transparent(image) else image.convert("RGB")


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ("RGBA", "LA"):
        return image.getchannel("A").getextrema() != (255, 255)
    return image.mode == "PA" or image.info.get("transparency") is not None


class Band(NamedTuple):
    """Some rows of a picture, and where they begin."""

    top: int
    image: Image.Image


def _bands(image: Image.Image) -> Iterator[Band]:
    rows = max(BAND // image.width, 1)
    for top in range(0, image.height, rows):
        yield Band(top, image.crop((0, top, image.width, min(top + rows, image.height))))


def _on_white(image: Image.Image) -> Image.Image:
    """The picture with its transparency, on a white ground."""
    whole = Image.new("RGB", image.size)
    for band in _bands(image):
        white = Image.new("RGBA", band.image.size, (255, 255, 255, 255))
        whole.paste(Image.alpha_composite(white, band.image.convert("RGBA")).convert("RGB"), (0, band.top))
    return whole


def _shallow(image: Image.Image) -> Image.Image:
    """A picture of one channel with more than 8 bits, in mode L."""
    extremes = [(values.min(), values.max()) for values in (np.asarray(band.image) for band in _bands(image))]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    if not np.isfinite(low) or not np.isfinite(high):
        raise MediaError("media_damaged", "the picture holds numbers that are no brightness: NaN or infinity")
    whole = Image.new("L", image.size)
    for band in _bands(image):
        whole.paste(Image.fromarray(_eight_bits(np.asarray(band.image), float(low), float(high))), (0, band.top))
    return whole


def _eight_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Brightness as uint8; `low` and `high` are the extremes of the whole picture."""
    is_fraction = values.dtype.kind == "f"
    if low >= 0 and is_fraction and high <= 1:
        return np.rint(values * 255).astype(np.uint8)
    if low >= 0 and high <= 255:
        return values.astype(np.uint8)
    if low >= 0 and not is_fraction and high <= 65535:
        return (values >> 8).astype(np.uint8)
    return np.rint((values.astype(np.float64) - low) * (255 / max(high - low, 1e-300))).clip(0, 255).astype(np.uint8)


def is_undecoded(image: Image.Image) -> bool:
    """Whether Pillow has opened the picture and not yet decoded it."""
    return isinstance(image, ImageFile.ImageFile) and image.fp is not None and getattr(image, "_im", image) is None
