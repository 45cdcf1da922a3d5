"""Clips in every container: the right frames, in order and upright, when they were shown, and their sound."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gemsmith.errors import MediaError, RequestError
from gemsmith.media.clip import clip
from gemsmith.media.jobs import clip as job
from gemsmith.media.prepared import Frames, Waveform
from gemsmith.media.settings import MediaSettings
from tests.media.films import film, number_of, picture, sound_file, spectrum_peak, tone

pytestmark = pytest.mark.slow

OPTIONS: dict[str, Any] = {
    "frames": None,
    "fps": None,
    "tokens": 70,
    "sound": False,
    "max_seconds": 14400.0,
    "max_frames": 256,
    "max_pixels": 1 << 24,
    "max_memory": 1 << 30,
}


def seen(data: bytes, **options: Any) -> tuple[dict[str, Any], np.ndarray]:
    """What the job makes of a file, here and not in a child."""
    values, arrays = job.decode(io.BytesIO(data), {**OPTIONS, **options})
    return values, arrays[0]


CONTAINERS = {
    "mp4": ("mp4", "libx264", "yuv420p"),
    "hevc": ("mp4", "libx265", "yuv420p"),
    "mov": ("mov", "mjpeg", "yuvj420p"),
    "mkv": ("matroska", "libx264", "yuv420p"),
    "vp8": ("webm", "libvpx", "yuv420p"),
    "vp9": ("webm", "libvpx-vp9", "yuv420p"),
    "avi": ("avi", "mpeg4", "yuv420p"),
    "ts": ("mpegts", "libx264", "yuv420p"),
    "mpeg": ("mpeg", "mpeg2video", "yuv420p"),
    "flv": ("flv", "libx264", "yuv420p"),
    "wmv": ("asf", "wmv2", "yuv420p"),
    "bare": ("h264", "libx264", "yuv420p"),
    "apng": ("apng", "apng", "rgb24"),
    "gif": ("gif", "gif", "gray"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_frames_of_transformers_rule(name: str) -> None:
    container, codec, pixels = CONTAINERS[name]
    values, frames = seen(film(container, codec, 47, pixels=pixels), frames=7)
    numbers = [k * 47 // 7 for k in range(7)]
    assert [number_of(frame) for frame in frames] == numbers
    assert values["seconds"] == [number / 25 for number in numbers]
    assert values["size"] == (64, 48) and frames.shape == (7, 336, 432, 3) and frames.dtype == np.uint8
    assert values["total"] == 47 and values["duration"] == pytest.approx(47 / 25)


def test_frames_are_those_of_decoding_all_and_resizing_each() -> None:
    from PIL import Image

    data = film(count=40, size=(200, 120))
    with av.open(io.BytesIO(data)) as opened:
        whole = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    _, frames = seen(data, frames=32)
    for k, frame in enumerate(frames):
        expected = Image.fromarray(whole[k * 40 // 32]).resize((480, 288), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(frame, np.asarray(expected))


def test_resizing_is_within_two_of_the_released_processors_kernel() -> None:
    """torchvision's `resize` of uint8 pictures is torch's `interpolate`, which needs no torchvision."""
    import torch

    random = np.random.default_rng(0)
    worst = 0
    for height, width in ((48, 64), (360, 640), (1080, 607)):
        rgb = random.integers(0, 256, (1, height, width, 3), np.uint8)
        ours = clip(rgb).frames.rgb
        theirs = torch.nn.functional.interpolate(
            torch.from_numpy(rgb).permute(0, 3, 1, 2), size=ours.shape[1:3], mode="bicubic", antialias=True
        )
        worst = max(worst, int(np.abs(ours.astype(int) - theirs.permute(0, 2, 3, 1).numpy()).max()))
    assert worst <= 2  # on noise, the hardest there is


def test_a_frame_a_second_is_the_default_and_fps_asks_for_others() -> None:
    data = film(count=100, rate=20)
    values, frames = seen(data)
    assert values["seconds"] == [0, 1, 2, 3, 4] and [number_of(frame) for frame in frames] == [0, 20, 40, 10, 30]
    assert seen(data, fps=2.0)[0]["seconds"] == [k / 2 for k in range(10)]
    assert len(seen(film(count=3))[1]) == 1


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("matroska", "mpeg4")])
def test_seeking_gives_what_decoding_through_gives(container: str, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(container, codec, 1501, options={"g": "60"})
    decoded = []
    frames_of = job.container.decoded
    monkeypatch.setattr(
        job.container, "decoded", lambda *args: (decoded.append(1) or frame for frame in frames_of(*args))
    )
    values, sought = seen(data, frames=11)
    num_sought = len(decoded)
    monkeypatch.setattr(job, "SEEKING", ())
    assert seen(data, frames=11)[0] == values
    np.testing.assert_array_equal(seen(data, frames=11)[1], sought)
    assert [number_of(frame) for frame in sought] == [k * 1501 // 11 % 50 for k in range(11)]
    assert num_sought < 11 * 64 < 1300


def test_a_missed_seek_is_made_good_by_decoding_through(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(count=301, options={"g": "30"})
    expected = seen(data, frames=5)
    keyframes = job.timeline

    def lying(*args: Any) -> Any:
        times = keyframes(*args)
        object.__setattr__(times, "keyframes", times.pts[[0, 45, 100]])  # no key frame stands there
        return times

    monkeypatch.setattr(job, "timeline", lying)
    found = seen(data, frames=5)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("rate", [24, 25, 30, 60, Fraction(30000, 1001), Fraction(24000, 1001)])
def test_minutes_and_seconds_in_prompts_are_those_of_transformers(rate: int | Fraction) -> None:
    data = film("matroska", "mpeg4", 300, rate=rate, size=(16, 16))  # times are rounded to thousandths there
    with av.open(io.BytesIO(data)) as opened:
        stream = opened.streams.video[0]
        seconds = job.timeline(opened, stream, 100.0).seconds
        assert [int(s) for s in seconds] == [int(k / float(stream.average_rate)) for k in range(300)]


def test_uneven_clips_have_times_of_their_own() -> None:
    times = [0, 40, 80, 3000, 3040, 3080, 9000]
    values, frames = seen(film("matroska", "mpeg4", 7, times=times), frames=7)
    assert values["seconds"] == [time / 1000 for time in times]
    assert [number_of(frame) for frame in frames] == list(range(7))


@pytest.mark.parametrize(("rotation", "corner"), [(0, "tl"), (90, "bl"), (180, "br"), (270, "tr")])
def test_frames_are_upright(rotation: int, corner: str) -> None:
    data = film(codec="mpeg4", count=2, size=(96, 48), rotation=rotation)
    values, frames = seen(data)
    _, height, width, _ = frames.shape
    spot = frames[0, 4 if corner[0] == "t" else height - 5, 4 if corner[1] == "l" else width - 5]
    assert spot[0] > 200 and spot[1] < 80
    assert values["size"] == ((96, 48) if rotation % 180 == 0 else (48, 96))
    if rotation == 270:  # what telephones write when held upright (QuickTime File Format: a clockwise quarter)
        assert struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)[:20] in data


def test_the_sound_track_comes_along_where_it_is_wanted() -> None:
    for container, codec in (("mp4", "libx264"), ("webm", "libvpx")):
        data = film(container, codec, 50, sound=tone(2, 48_000, 2))
        _, arrays = job.decode(io.BytesIO(data), {**OPTIONS, "sound": True})
        assert spectrum_peak(arrays[1])[0] == 440 and abs(len(arrays[1]) - 32_000) < 1100
        assert len(job.decode(io.BytesIO(data), OPTIONS)[1]) == 1
    assert len(job.decode(io.BytesIO(film()), {**OPTIONS, "sound": True})[1]) == 1


def with_hidden_frames(data: bytes) -> bytes:
    """A VP8 clip with a copy of each key frame before it that is decoded and never shown (RFC 6386, section 9.1)."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data)) as opened, av.open(buffer, "w", format="webm") as out:
        stream = out.add_stream_from_template(opened.streams.video[0])
        for packet in opened.demux(video=0):
            raw = bytes(packet)
            if packet.is_keyframe:
                hidden = av.Packet(bytes([raw[0] & ~0x10]) + raw[1:])
                hidden.pts = hidden.dts = packet.pts - 1 if packet.pts else 0
                hidden.time_base, hidden.stream, hidden.is_keyframe = packet.time_base, stream, True
                out.mux(hidden)
            if raw:
                packet.stream = stream
                packet.pts = packet.dts = packet.pts + 1
                out.mux(packet)
    return buffer.getvalue()


@pytest.mark.parametrize("is_known", [True, False])
def test_packets_that_are_never_shown_do_not_count(is_known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_hidden_frames(film("webm", "libvpx", 120, options={"g": "10"}))
    with av.open(io.BytesIO(data)) as opened:
        assert sum(packet.size > 0 for packet in opened.demux(video=0)) >= 120 + 12
    if not is_known:  # as with codecs whose hidden frames nobody looks for: then what comes out is counted
        monkeypatch.setattr("gemsmith.media.jobs.timeline._shown", lambda stream, packets: packets)
    values, frames = seen(data, frames=12)
    assert values["total"] == 120
    assert [number_of(frame) for frame in frames] == [k * 10 % 50 for k in range(12)]


def test_a_clip_of_one_frame_is_shown() -> None:
    values, frames = seen(film(count=1), frames=32)
    assert values["seconds"] == [0] and values["total"] == 1 and number_of(frames[0]) == 0


# ---- what is refused


def with_cover() -> bytes:
    """Sound with the picture of an album."""
    buffer = io.BytesIO()
    png = io.BytesIO()
    with av.open(png, "w", format="image2pipe") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
    with av.open(buffer, "w", format="mp3") as out:
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = out.add_stream("libmp3lame", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1, 16_000), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
        packet = av.Packet(png.getvalue())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        out.mux(packet)
    return buffer.getvalue()


def test_sound_and_the_picture_of_its_cover_are_no_clip() -> None:
    for data, words in (
        (sound_file("flac", "flac", tone(0.2, 16_000), 16_000), "no moving pictures; if it is sound"),
        (with_cover(), "no moving pictures but the picture of a cover"),
    ):
        with pytest.raises(MediaError, match=words) as refusal:
            seen(data)
        assert refusal.value.code == "media_format"


def damaged_films() -> dict[str, bytes]:
    whole = film(count=50)
    moov, mdat = whole.index(b"moov"), whole.index(b"mdat")
    counts = whole.index(b"stsz")
    return {
        "no moov": whole[: moov - 4],
        "moov cut short": whole[: moov + 200],
        "no samples": whole[: mdat - 4] + struct.pack(">I4s", 8, b"mdat") + whole[moov - 4 :],
        "sizes of 2 GB": whole[: counts + 16] + b"\x7f\xff\xff\xff" * 50 + whole[counts + 16 + 200 :],
        "moov of zeros": whole[: moov + 4] + bytes(len(whole) - moov - 4),
        "only a brand": whole[:32],
    }


@pytest.mark.parametrize("name", damaged_films())
def test_damaged_films_are_refused(name: str) -> None:
    with pytest.raises(MediaError) as refusal:
        seen(damaged_films()[name], frames=50)
    assert refusal.value.code in ("media_damaged", "media_format")


def test_pictures_and_playlists_are_no_clip() -> None:
    png = film("image2pipe", "png", 1, pixels="rgb24")
    for data in (png, b"#EXTM3U\n#EXTINF:1,\nnext.ts\n", b"ffconcat version 1.0\nfile next.mp4\n", bytes(5000)):
        with pytest.raises(MediaError) as refusal:
            seen(data)
        assert refusal.value.code == "media_format"


def test_a_moving_webp_is_a_picture_and_says_so() -> None:
    with pytest.raises(MediaError, match="a WebP picture, not sound or a clip") as refusal:
        seen(b"RIFF\x30\0\0\0WEBPVP8X" + bytes(40))
    assert refusal.value.code == "media_format"


def test_codings_that_are_only_a_way_in_are_refused() -> None:
    with pytest.raises(MediaError, match="coding that is not known") as refusal:
        seen(film("matroska", "jpeg2000", 3, pixels="rgb24"))
    assert refusal.value.code == "media_format"


def test_limits_are_held() -> None:
    data = film(count=60, size=(128, 96))
    for options, words in (
        ({"max_pixels": 128 * 96 - 1}, "frames of 128 × 96 pixels"),
        ({"max_seconds": 2.0}, "2 s are allowed"),
        ({"max_frames": 8, "frames": 9}, "9 frames of the clip were asked for, and at most 8"),
        ({"max_frames": 8, "fps": 25.0}, "60 frames of the clip were asked for, and at most 8"),
        ({"max_memory": 1 << 20, "frames": 32}, "take 13 MB, and 0 MB are allowed"),
    ):
        with pytest.raises(MediaError, match=words) as refusal:
            seen(data, **options)
        assert refusal.value.code == "media_too_large"
    assert len(seen(data, max_frames=8)[1]) == 2


@pytest.mark.long
def test_a_million_frames_are_bounded() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mov") as out:
        stream = out.add_stream("png", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        (packet,) = stream.encode(av.VideoFrame.from_ndarray(picture(3, (16, 16)), format="rgb24"))
        packet.stream = stream
        for number in range(1_000_000):
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 1000)  # muxing changes it to the file's own
            out.mux(packet)
    shown = clip(buffer.getvalue())
    assert shown.frames.seconds == tuple(k * 1_000_000 // 60 / 1000 for k in range(60))
    assert shown.remark == "The clip lasts 16 min 40 s, so 60 frames are shown, spread evenly, instead of one a second."


# ---- arrays, and the way through the child


def test_arrays_are_shown_whole_up_to_sixty() -> None:
    rgb = np.stack([picture(number) for number in range(72)])
    few = clip(rgb[:32])
    assert few.frames.rgb.shape == (32, 336, 432, 3) and few.remark is None and few.sound is None
    assert few.frames.seconds == tuple(k / 24 for k in range(32)) and few.frames.size == (64, 48)
    many = clip(rgb, fps=2)
    assert many.frames.seconds == tuple(k * 72 // 60 / 2 for k in range(60))
    assert many.remark == "The clip has 72 frames, of which 60 are shown, spread evenly."
    assert clip(rgb, frames=72).remark is None
    assert clip(rgb[:3], frames=9).remark == "The clip has only 3 frames, fewer than asked for; all are shown."


@pytest.mark.parametrize("shape", [(0, 48, 64, 3), (4, 48, 64), (4, 48, 64, 4), (4, 3, 48, 64), (4, 0, 64, 3)])
def test_arrays_that_are_no_frames_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MediaError, match="uint8"):
        clip(np.zeros(shape, np.uint8))
    with pytest.raises(MediaError, match="uint8"):
        clip(np.zeros((4, 48, 64, 3), np.float32))


def test_wishes_are_checked_before_anything_is_opened() -> None:
    for wish in ({"frames": 0}, {"fps": -1.0}, {"frames": 3, "fps": 1.0}, {"tokens": 100}):
        with pytest.raises(RequestError):
            clip("nowhere.mp4", **wish)  # type: ignore[arg-type]
    with pytest.raises(MediaError) as refusal:
        clip("nowhere.mp4")
    assert refusal.value.code == "media_not_found"


def test_files_go_through_the_child(tmp_path: Path) -> None:
    data = film(count=40, sound=tone(1.6, 48_000))
    (tmp_path / "a clip").write_bytes(data)
    whole = clip(tmp_path / "a clip", frames=4)
    values, rgb = seen(data, frames=4)
    assert whole.frames == Frames(rgb, tuple(values["seconds"]), (64, 48)) and whole.remark is None
    _, arrays = job.decode(io.BytesIO(data), {**OPTIONS, "sound": True})
    assert whole.sound == Waveform(arrays[1])
    assert clip(data, sound=False).sound is None
    assert clip(data, frames=99).remark == "The clip has only 40 frames, fewer than asked for; all are shown."
    with pytest.raises(MediaError, match="1 s are allowed"):
        clip(data, settings=MediaSettings(max_seconds=1))


def test_a_clip_that_takes_too_long_is_killed_and_the_next_is_answered() -> None:
    slow = film(codec="mpeg4", count=250, rate=1000)
    for _ in range(2):
        with pytest.raises(MediaError, match="was not decoded within") as refusal:
            clip(slow, frames=250, tokens=280, settings=MediaSettings(timeout_s=0.05))
        assert refusal.value.code == "media_decode_failed"
    assert len(clip(film(count=25)).frames.rgb) == 1
