"""Pictures of every mode and format, whole and broken, decoded as transformers would and refused before they harm."""

from __future__ import annotations

import functools
import io
import logging
import struct
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("PIL")
from PIL import Image, ImageOps, features

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.draw import draw
from gemsmith.media.jobs import picture as job
from gemsmith.media.picture import picture
from gemsmith.media.resize import BUDGETS, fitted_size, resized
from gemsmith.media.settings import MediaSettings
from gemsmith.media.worker.pool import shared
from gemsmith.media.worker.texts import _PLAIN
from tests.media.pictures import chunk, encoded, gif, inflating, jpeg, loads, photo, png, promises

PEER = "transformers.models.gemma4.image_processing_pil_gemma4"
FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"] + ["AVIF"] * features.check("avif")
OPTIONS = {"tokens": 70, "max_pixels": 100_000_000, "frame": 0}


def decoded(data: bytes, **options: Any) -> tuple[tuple[int, int], np.ndarray]:
    """What the job says, in this process."""
    values, arrays = job.decode(io.BytesIO(data), OPTIONS | options)
    return tuple(values["size"]), arrays[0]


def refusal(data: bytes, **options: Any) -> tuple[str, str]:
    with pytest.raises(MediaError) as error:
        decoded(data, **options)
    assert _PLAIN.fullmatch(str(error.value))  # so that the parent shows it
    return error.value.code, str(error.value)


def oriented(data_image: Image.Image, orientation: int, format_: str = "JPEG", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(data_image, format_, exif=exif, **options)


# --- what is decoded, and how --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format(format_: str) -> None:
    original = photo(120, 80)
    size, rgb = decoded(encoded(original, format_))
    assert size == (120, 80) and rgb.shape == (fitted_size(120, 80, 70)[1], fitted_size(120, 80, 70)[0], 3)
    exact = resized(original, 70).astype(int)
    limit = {"PNG": 0, "BMP": 0, "TIFF": 0}.get(format_, 12)
    assert np.abs(exact - rgb).mean() <= limit


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(orientation: int) -> None:
    original = photo(90, 60)
    for format_ in ("PNG", "TIFF", "WEBP"):
        data = oriented(original, orientation, format_, **({"lossless": True} if format_ == "WEBP" else {}))
        size, rgb = decoded(data)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(oriented(original, orientation, "PNG"))))
        assert upright is not None and size == upright.size == ((90, 60) if orientation < 5 else (60, 90))
        np.testing.assert_array_equal(rgb, resized(upright, 70))


@pytest.mark.parametrize("exif", [b"", b"II*\0" + b"\xff" * 4, b"nonsense", b"MM\0*" + b"\xff" * 99])
def test_damaged_exif_leaves_a_picture_as_it_stands(exif: bytes) -> None:
    exif = b"Exif\0\0" + exif
    assert decoded(jpeg(8, 8, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif))[0] == (8, 8)


@pytest.mark.parametrize("bits", ["uint16", "int32", "float32"])
def test_more_than_eight_bits_are_scaled_not_cut_off(bits: str) -> None:
    grey = np.asarray(photo(80, 60, "L"))
    fractions, wide = grey / np.float32(255), grey.astype(np.uint16) * 257
    deep = {"uint16": wide, "int32": wide.astype(np.int32), "float32": fractions}
    deep_image = Image.fromarray(deep[bits])
    expected = resized(np.repeat(grey[..., None], 3, 2), 70)
    files = [encoded(deep_image, "TIFF")] + ([encoded(deep_image, "PNG")] if bits == "uint16" else [])
    for data in files:
        np.testing.assert_array_equal(decoded(data)[1], expected)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_numbers_up_to_255_stay_as_they_are(dtype: type) -> None:
    grey = np.asarray(photo(80, 60, "L")).clip(2, 255)
    data = encoded(Image.fromarray(grey.astype(dtype)), "TIFF")
    np.testing.assert_array_equal(decoded(data)[1], resized(np.repeat(grey[..., None], 3, 2), 70))


def test_other_numbers_are_stretched_and_no_numbers_refused() -> None:
    values = np.linspace(-1000, 1000, 64 * 64, dtype=np.float32).reshape(64, 64)
    rgb = decoded(encoded(Image.fromarray(values), "TIFF"))[1]
    assert rgb.min() <= 2 and rgb.max() >= 253 and np.all(np.diff(rgb[:, 5, 0].astype(int)) >= 0)
    values[3, 3] = np.nan
    assert refusal(encoded(Image.fromarray(values), "TIFF"))[0] == "media_damaged"


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (50, 50), (10, 20, 30, 0))
    assert np.all(decoded(encoded(clear, "PNG"))[1] == 255)
    palette = Image.new("P", (50, 50), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert np.all(decoded(encoded(palette, "PNG", transparency=1))[1] == 255)
    assert np.all(decoded(encoded(palette, "GIF", transparency=1))[1] == 255)
    keyed = Image.new("RGB", (50, 50), (1, 2, 3))
    assert np.all(decoded(encoded(keyed, "PNG", transparency=(1, 2, 3)))[1] == 255)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_many(format_: str) -> None:
    first, rest = photo(40, 40), [Image.new("RGB", (40, 40), (0, 255 - 60 * k, 0)) for k in range(3)]
    data = encoded(first, format_, save_all=True, append_images=rest)
    assert np.abs(decoded(data)[1].astype(int) - resized(first, 70)).mean() < 12
    assert np.abs(decoded(data, frame=2)[1].astype(int) - (0, 195, 0)).mean() < 3


def test_a_name_or_type_that_lies_does_not_matter() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("index.html", "<script>alert(1)</script>")
    polyglots = [jpeg(8, 8) + archive.getvalue(), gif((8, 8), (8, 8)) + b"<html>", png(8, 8) + b"%PDF-1.7"]
    for data in [*polyglots, jpeg(8, 8, b"\xff\xfe\0\x0c<?php ?>  ")]:
        assert decoded(data)[0] == (8, 8)
    assert refusal(b"%PDF-1.7\n" + png(8, 8))[0] == "media_format"


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xef\xbb\xbf  <svg/>", "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7", "give it as a document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a clip"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"gd2\0" + bytes(100), "GD picture"),
        (b"\x01", "no picture"),
        (b"just words", "no picture"),
        (b"P6 8 8 255 " + bytes(192), "no picture"),
    ],
)
def test_other_files_are_named(data: bytes, words: str) -> None:
    code, message = refusal(data)
    assert code == "media_format" and words in message and "PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF" in message


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_cut_short(format_: str) -> None:
    data = encoded(photo(200, 150), format_)
    for share in (0.02, 0.3, 0.6, 0.9):
        code, _ = refusal(data[: int(len(data) * share)])
        assert code in ("media_damaged", "media_format")


def test_no_pixels() -> None:
    for data in (png(0, 5), png(5, 0), jpeg(0, 0), gif((0, 0), (0, 0))):
        assert refusal(data)[0] == "media_damaged"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "LAB", "I", "F", "I;16", "RGBa"])
def test_pil_images_without_pixels(mode: str) -> None:
    for size in ((0, 0), (0, 5), (5, 0)):
        for look in (picture, draw):
            with pytest.raises(MediaError, match=f"{size[0]} x {size[1]} pixels holds nothing") as error:
                look(Image.new(mode, size))
            assert error.value.code == "media_damaged"


def test_pil_images_that_were_closed(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(8, 8))
    closed, decoded_ = Image.open(tmp_path / "x.png"), Image.new("RGB", (8, 8))
    closed.close()
    decoded_.close()
    with open(tmp_path / "x.png", "rb") as file:
        left = Image.open(file)
    for image in (closed, decoded_, left):
        for look in (picture, draw):
            with pytest.raises(MediaError, match="the PIL image cannot be decoded") as error:
                look(image)
            assert error.value.code == "media_damaged"


@pytest.mark.slow
def test_a_png_in_a_hundred_thousand_parts_is_refused() -> None:
    """Each is empty, and so allowed; Pillow would take half a minute for a million of them."""
    data = png(8, 8)
    code, message = refusal(data[:-12] + chunk(b"IDAT", b"") * 100_000 + data[-12:])
    assert code == "media_too_large" and "65536 parts" in message


def test_of_a_hundred_thousand_frames_one_is_read() -> None:
    start, whole = time.process_time(), gif((1, 1), (1, 1))
    frame = whole[whole.index(b"\x2c") : -1]
    assert decoded(whole[:-1] + frame * 100_000 + b";")[0] == (1, 1)
    assert time.process_time() - start < 1


def test_limits_are_settings() -> None:
    assert decoded(png(30, 40), max_pixels=1200)[0] == (30, 40)
    assert refusal(png(30, 40), max_pixels=1199)[0] == "media_too_large"


def test_pillows_own_limit_does_not_count_and_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decoded(png(30, 40))[0] == (30, 40)
    refusal(b"\x89PNG\r\n\x1a\n")
    assert Image.MAX_IMAGE_PIXELS == 10


def test_headers_that_promise_too_much() -> None:
    for name, data in promises().items():
        assert refusal(data)[0] == "media_too_large", name


@pytest.mark.slow
def test_what_grows_a_thousandfold() -> None:
    for name, data in inflating().items():
        assert refusal(data)[0] == "media_damaged", name


# --- through the child -----------------------------------------------------------------------------------------------


def peak(process: psutil.Process) -> int:
    """The most memory a process ever held, in bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bombs_cost_no_time_and_no_memory() -> None:
    files = promises() | loads()
    here = psutil.Process()
    shared().close()  # whatever earlier tests left
    before = set(here.children())
    for format_ in FORMATS:
        picture(encoded(photo(500, 400), format_), tokens=70)  # decoders are loaded
    child = next(process for process in here.children() if process not in before)
    peaks, own, times = peak(child), here.memory_info().rss, []
    for name, data in files.items():
        start = time.perf_counter()
        with pytest.raises(MediaError) as error:
            picture(data)
        times.append(time.perf_counter() - start)
        assert error.value.code == "media_too_large", name
    assert child.is_running(), "a refusal is no reason for a new process"
    assert peak(child) - peaks < 64 << 20 and here.memory_info().rss - own < 64 << 20
    assert np.median(times) < 0.2 and max(times) < 5, dict(zip(files, times, strict=True))


@pytest.mark.slow
def test_every_kind_of_source(tmp_path: Path) -> None:
    import base64

    original = photo(100, 70)
    data = encoded(original, "PNG")
    path = tmp_path / "wrong.jpg"
    path.write_bytes(data)
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    opened = Image.open(path)
    array = np.asarray(original)
    sources = [path, str(path), data, url, opened, original, array, array / 255, (array / 255).astype(np.float32)]
    pictures = [picture(source) for source in sources]
    assert pictures[0].size == (100, 70) and all(each == pictures[0] for each in pictures)
    assert getattr(opened, "_im", None) is None and opened.fp is not None  # decoded in the child, and not here
    opened.load()
    assert picture(opened) == pictures[0]
    assert picture(photo(100, 70, seed=1)) != pictures[0]


@pytest.mark.slow
def test_pictures_that_pillow_has_opened(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "lime", "blue")]
    opened = Image.open(io.BytesIO(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])))
    opened.seek(1)
    assert picture(opened).rgb[5, 5].tolist() == [0, 255, 0]
    cut = Image.open(io.BytesIO(encoded(photo(100, 70), "PNG")[:-3000]))
    with pytest.raises(MediaError) as error:
        picture(cut)
    assert error.value.code == "media_damaged"
    other = Image.open(io.BytesIO(encoded(photo(100, 70), "PPM")))
    with pytest.raises(MediaError, match="no picture known here"):
        picture(other)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (47, 49), (8000, 6000)], ids=str)
def test_odd_sizes(size: tuple[int, int]) -> None:
    data = encoded(Image.new("L", size, 100), "PNG", compress_level=1)
    for tokens in BUDGETS if max(size) < 8000 else (280,):
        prepared = picture(data, tokens=tokens)
        assert prepared.size == size and prepared.rgb.shape[1::-1] == fitted_size(*size, tokens)
        assert np.all(prepared.rgb == 100)


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_arrays_of_each_shape() -> None:
    rgb = np.asarray(photo(60, 40))
    grey = rgb[..., 0]
    assert picture(rgb, tokens=70) == picture(np.asfortranarray(rgb), tokens=70)
    assert picture(grey) == picture(grey[..., None]) == picture(np.repeat(grey[..., None], 3, 2))
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)
    assert picture(opaque) == picture(rgb)
    opaque[..., 3] = 0
    assert np.all(picture(opaque).rgb == 255)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 40, 60), np.uint8), r"shape \[3, 40, 60\]"),
        (np.zeros((40, 60, 2), np.uint8), r"shape \[40, 60, 2\]"),
        (np.zeros((2, 40, 60, 3), np.uint8), "shape"),
        (np.zeros(40, np.uint8), "shape"),
        (np.zeros((0, 60, 3), np.uint8), "shape"),
        (np.zeros((40, 60, 3), np.int64), "array of int64"),
        (np.zeros((40, 60, 3), bool), "array of bool"),
        (np.full((40, 60, 3), 255.0), "from 255 to 255"),
        (np.full((40, 60, 3), -0.1), "from -0.1 to -0.1"),
        (np.full((40, 60), np.nan), "nan"),
        (np.array([["a"]]), "array of <U1"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(MediaError, match=words) as error:
        picture(array)
    assert error.value.code == "media_format" and "give uint8" in str(error.value)


def test_what_is_asked_is_checked_first() -> None:
    with pytest.raises(RequestError, match="70, 140, 280, 560 or 1120"):
        picture("no such file", tokens=100)
    with pytest.raises(MediaError, match="was expected, not list"):
        picture([1, 2])
    with pytest.raises(MediaError, match="more than the 99 that are read"):
        picture(np.zeros((10, 10), np.uint8), settings=MediaSettings(max_pixels=99))


# --- as transformers does --------------------------------------------------------------------------------------------


@functools.cache
def peer() -> Any:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return pytest.importorskip(PEER).Gemma4ImageProcessorPil()


def theirs(image: Image.Image, tokens: int) -> np.ndarray:
    """Their pixels of an upright picture [H, W, 3], put together again from patches."""
    out = peer()(image, max_soft_tokens=tokens, return_tensors="np")
    positions = out["image_position_ids"][0]
    num = int((positions[:, 0] >= 0).sum())
    width, height = positions[:num].max(0) + 1
    patches = out["pixel_values"][0][:num].reshape(height, width, 16, 16, 3)
    return patches.transpose(0, 2, 1, 3, 4).reshape(height * 16, width * 16, 3)


@pytest.mark.slow
def test_pixels_are_those_of_transformers() -> None:
    """Every mode at every size, every budget at every size, each within 1/255."""
    sizes = [(1, 1), (1, 400), (400, 1), (47, 49), (96, 96), (333, 250)]
    modes = ["L", "RGBA", "LA", "CMYK", "P", "1", "YCbCr", "HSV", "PA", "RGBX"]
    cases = [(size, mode, 70) for size in ((47, 49), (333, 250)) for mode in modes]
    cases += [(size, "RGB", tokens) for size in sizes for tokens in BUDGETS]
    for size, mode, tokens in cases:
        image = photo(*size, mode)
        rgb, expected = picture(image, tokens=tokens).rgb, theirs(image, tokens)
        assert rgb.shape == expected.shape and np.abs(rgb / 255 - expected).max() <= 1 / 255, (size, mode, tokens)


@pytest.mark.slow
def test_pixels_of_files_are_those_of_transformers() -> None:
    """From bytes: upright, as their loader makes it, then their processor."""
    files = [encoded(photo(300, 200), format_) for format_ in FORMATS]
    files += [encoded(photo(300, 200, "P"), "GIF"), *(encoded(photo(300, 200, mode), "JPEG") for mode in ("CMYK", "L"))]
    files += [encoded(photo(300, 200, mode), "PNG") for mode in ("RGBA", "LA", "P", "1")]
    files += [oriented(photo(300, 200), k) for k in range(1, 9)] + [oriented(photo(300, 200, "RGBA"), 6, "PNG")]
    files += [encoded(photo(300, 200), "JPEG", progressive=True), png(30, 20, chunk(b"tRNS", bytes(6)))]
    for data in files:
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        assert upright is not None
        size, rgb = decoded(data, tokens=140)
        expected = theirs(upright, 140)
        assert size == upright.size and np.abs(rgb / 255 - expected).max() <= 1 / 255


@pytest.mark.slow
def test_sizes_are_those_of_transformers() -> None:
    rule = pytest.importorskip(PEER).get_aspect_ratio_preserving_size
    sides = (1, 2, 47, 48, 49, 333, 480, 1080, 4000, 8000, 65_535)
    pairs = [(w, h) for w in sides for h in sides] + [(70, 1), (71, 1), (280, 1), (281, 1), (1, 1120), (2, 2239)]
    for tokens in BUDGETS:
        for width, height in pairs + np.random.default_rng(0).integers(1, 9000, (500, 2)).tolist():
            assert fitted_size(width, height, tokens) == rule(height, width, 16, 9 * tokens, 3)[::-1]
