"""Small pictures, sounds, PDFs and clips for the tests of the commands."""

from __future__ import annotations

import wave
from pathlib import Path

PNG = bytes.fromhex(  # one grey pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6368000000820081dd436af40000000049454e44ae426082"
)


def write_picture(path: Path, width: int = 96, height: int = 48) -> Path:
    """A picture with two colours in it."""
    from PIL import Image

    picture = Image.new("RGB", (width, height), (200, 30, 30))
    picture.paste((30, 30, 200), (width // 2, 0, width, height))
    picture.save(path)
    return path


def write_pdf(path: Path, num_pages: int = 3) -> Path:
    """White pages."""
    from PIL import Image

    pages = [Image.new("RGB", (60, 80), "white") for _ in range(num_pages)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A tone that comes and goes every two seconds."""
    import numpy as np

    t = np.arange(int(16000 * seconds)) / 16000
    samples = (8000 * np.sin(2 * np.pi * 440 * t) * (t % 4 < 2)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    return path
