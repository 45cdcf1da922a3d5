"""Makes the kept corpus beside this file: `python -m tests.media.corpus.make`. One small file of each kind.

The files are committed, so that what is decoded does not change with the encoders of the day.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.media import pdf
from tests.media.films import film, picture, sound_file, tone

HERE = Path(__file__).parent


def drawing() -> Image.Image:
    """A picture with edges, a gradient and noise."""
    random = np.random.default_rng(4)
    rgb = picture(7, (96, 72)).astype(int)
    rgb[:, :, 1] += np.arange(96)[None] // 2
    rgb[40:60, 50:80] += random.integers(0, 60, (20, 30, 3))
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def pictures() -> dict[str, bytes]:
    made = {}
    for name, options in {
        "png": {},
        "jpg": {"quality": 80, "exif": exif()},
        "webp": {"quality": 70},
        "gif": {"save_all": True, "append_images": [drawing().rotate(9)], "duration": 40},
        "tiff": {"compression": "tiff_lzw"},
        "bmp": {},
    }.items():
        buffer = io.BytesIO()
        drawing().save(buffer, {"jpg": "jpeg"}.get(name, name), **options)
        made[f"picture.{name}"] = buffer.getvalue()
    return made


def exif() -> bytes:
    """Turned by a quarter, as telephones write."""
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags.tobytes()


def document() -> bytes:
    text = "BT /F1 24 Tf 72 100 Td (Hello) Tj ET\n"
    return pdf.simple([pdf.page(text + pdf.filled(1, 0, 0, "100 100 200 300")), pdf.page(text, box="0 0 300 200")])


def sounds() -> dict[str, bytes]:
    wave = tone(0.4, 16_000, 2) * np.linspace(0, 1, 6400, dtype=np.float32)
    fast = tone(0.4, 48_000, 2) * np.linspace(0, 1, 19_200, dtype=np.float32)
    return {
        "sound.wav": sound_file("wav", "pcm_s16le", wave[:1], 16_000),
        "sound.flac": sound_file("flac", "flac", wave, 16_000),
        "sound.mp3": sound_file("mp3", "libmp3lame", wave, 16_000),
        "sound.ogg": sound_file("ogg", "libopus", fast, 48_000),
        "sound.m4a": sound_file("ipod", "aac", fast, 48_000),
    }


def clips() -> dict[str, bytes]:
    wave = tone(1, 48_000)
    return {
        "clip.mp4": film("mp4", "libx264", 25, options={"g": "12"}, sound=wave),
        "clip.webm": film("webm", "libvpx-vp9", 25, sound=wave),
        "clip.mkv": film("matroska", "mpeg4", 25, options={"g": "5"}, sound=wave),
    }


def main() -> None:
    files = {**pictures(), "document.pdf": document(), **sounds(), **clips()}
    for name, data in files.items():
        (HERE / name).write_bytes(data)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes")


if __name__ == "__main__":
    main()
