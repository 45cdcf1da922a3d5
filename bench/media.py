"""How long pictures and sounds take until a model can see and hear them, here and in transformers, side by side.

    python bench/media.py            # a table
    python bench/media.py --check    # exit status 1 where this package is the slower one

From a file on disk to what the model's first layer reads: decoding, resizing, patches; decoding, resampling, mel
frames. This package decodes in a child process, and that is part of its time; transformers decodes in its own. Runs
alternate, so that both meet the same machine, and medians are compared. Needs transformers, which is not needed for
anything else; what neither side loads before the first file is loaded is timed apart. transformers decodes sound with
librosa or torchcodec; where librosa is absent its side decodes with `av` as this package does, and the table says so.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # from a checkout, whatever folder it is started in

from gemsmith.media.mel import log_mel
from gemsmith.media.picture import picture
from gemsmith.media.prepared import SAMPLE_RATE
from gemsmith.media.sound import sound

PATCH = 16
CLIP = 30 * SAMPLE_RATE  # samples a model hears at once
LIBROSA = find_spec("librosa") is not None


class Row(NamedTuple):
    """One thing to prepare, with the median seconds of both."""

    name: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    with tempfile.TemporaryDirectory() as folder:
        files = dict(made_files(Path(folder), options))
        start = time.perf_counter()
        picture_here(files["JPEG"])
        first = time.perf_counter() - start
        rows = [compared(name, path, options.runs) for name, path in files.items()]
    print(table(rows, options, first))
    slower = [row.name for row in rows if row.ratio > 1]
    if options.check and slower:
        print(f"slower than transformers: {', '.join(slower)}", file=sys.stderr)
    return int(options.check and bool(slower))


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="prepare pictures and sound, here and in transformers")
    parser.add_argument("--runs", type=int, default=9, help="of each, alternating (9)")
    parser.add_argument("--size", default="4000x3000", help="of the picture (4000x3000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the sound (60)")
    parser.add_argument("--check", action="store_true", help="exit status 1 where this package is slower")
    return parser.parse_args(argv)


# --- what is prepared ----------------------------------------------------------------------------------------------


def made_files(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """A picture and a sound in the formats that people have them in."""
    width, height = map(int, options.size.split("x"))
    image = photograph(width, height)
    for name, settings in (("JPEG", {"quality": 90}), ("PNG", {}), ("WebP", {"quality": 85})):
        path = folder / f"picture.{name.lower()}"
        image.save(path, name, **settings)
        yield name, path
    samples = speech(options.seconds, 44_100)
    for name, codec in (("WAV", "pcm_s16le"), ("MP3", "mp3")):
        path = folder / f"sound.{name.lower()}"
        write_sound(path, codec, samples, 44_100)
        yield name, path


def photograph(width: int, height: int) -> Image.Image:
    """Soft colours under fine grain, which costs decoders about what a photograph does."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 40 + 2, width // 40 + 2, 3), np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-6, 7, (height, width, 1), np.int16)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


def speech(seconds: float, rate: int) -> np.ndarray:
    """Two channels, int16 [2, n]: a voice's harmonics that come and go, with a little noise."""
    rng, t = np.random.default_rng(0), np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * t)) / 8
    both = np.stack([voice, 0.8 * voice]) + rng.normal(0, 0.01, (2, len(t)))
    return (both.clip(-1, 1) * 32767).astype(np.int16)


def write_sound(path: Path, codec: str, samples: np.ndarray, rate: int) -> None:
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = rate
        for resampled in av.AudioResampler(format=stream.format, rate=rate, frame_size=1152).resample(frame):
            out.mux(stream.encode(resampled))
        out.mux(stream.encode(None))


# --- both ways -----------------------------------------------------------------------------------------------------


def picture_here(path: Path) -> np.ndarray:
    """Patches float32 [M, 768] in [0, 1]."""
    rgb = picture(path).rgb
    height, width, _ = rgb.shape
    patches = rgb.reshape(height // PATCH, PATCH, width // PATCH, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return patches.reshape(-1, 3 * PATCH**2) / np.float32(255)


def picture_there(path: Path) -> np.ndarray:
    from transformers.image_utils import load_image

    out = picture_processor()(load_image(str(path)), return_tensors="np")
    return out["pixel_values"][0][out["image_position_ids"][0][:, 0] >= 0]


def sound_here(path: Path) -> list[np.ndarray]:
    """Mel frames of each half minute."""
    samples = sound(path).samples
    return [log_mel(samples[start : start + CLIP])[0] for start in range(0, len(samples), CLIP)]


def sound_there(path: Path) -> list[np.ndarray]:
    samples = with_librosa(path) if LIBROSA else with_av(path)
    clips = [samples[start : start + CLIP] for start in range(0, len(samples), CLIP)]
    return [sound_extractor()([clip])["input_features"][0] for clip in clips]


def with_librosa(path: Path) -> np.ndarray:
    import librosa

    return librosa.load(path, sr=SAMPLE_RATE)[0]


def with_av(path: Path) -> np.ndarray:
    """What librosa would make of it: 16,000 samples a second, channels averaged."""
    resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
    with av.open(path) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).mean(axis=0)


@functools.cache
def picture_processor() -> Any:
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    return Gemma4ImageProcessorPil()


@functools.cache
def sound_extractor() -> Any:
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor

    return Gemma4AudioFeatureExtractor()


# --- the comparison ------------------------------------------------------------------------------------------------


def compared(name: str, path: Path, runs: int) -> Row:
    """Medians of alternating runs, after one of each that is not counted and must agree."""
    is_sound = name in ("WAV", "MP3")
    here: Callable[[Path], Any] = sound_here if is_sound else picture_here
    there: Callable[[Path], Any] = sound_there if is_sound else picture_there
    agree(name, np.concatenate(here(path)), np.concatenate(there(path)))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for function, taken in zip((here, there), times, strict=True):
            start = time.perf_counter()
            function(path)
            taken.append(time.perf_counter() - start)
    return Row(name, median(times[0]), median(times[1]))


def agree(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """A comparison of speed is worth nothing where the results are not the same."""
    is_same_sound = name in ("WAV", "MP3") and LIBROSA  # another resampler: similar, not the same
    if ours.shape != theirs.shape or not (is_same_sound or np.abs(ours - theirs).max() <= 1 / 255):
        raise SystemExit(f"{name}: {ours.shape} here and {theirs.shape} in transformers do not agree")


def table(rows: list[Row], options: argparse.Namespace, first: float) -> str:
    """The figures, and what they were measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("transformers", "pillow", "av", "numpy"))
    lines = [
        f"{datetime.now():%Y-%m-%d}, {machine()}, Python {platform.python_version()}, {packages}",
        f"pictures {options.size} at 280 tokens, sound {options.seconds:g} s of 44.1 kHz stereo",
        f"medians of {options.runs} alternating runs",
        f"transformers' sound is decoded with {'librosa' if LIBROSA else 'av, since librosa is not installed'}",
        "",
        f"{'':6}{'gemsmith':>11}{'transformers':>15}{'ratio':>8}",
    ]
    lines += [f"{r.name:6}{1e3 * r.ours:8.0f} ms{1e3 * r.theirs:12.0f} ms{r.ratio:8.2f}" for r in rows]
    return "\n".join(
        [*lines, "", f"the very first picture, with the decoding process started for it: {1e3 * first:.0f} ms"]
    )


def machine() -> str:
    """The processor, its cores, and how busy they are with something else."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
