"""Sound files of every kind become 16,000 samples a second in which the tone that was put in is heard."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from gemsmith.errors import MediaError
from gemsmith.media.jobs import sound as job
from gemsmith.media.prepared import SAMPLE_RATE, Waveform
from gemsmith.media.settings import MediaSettings
from gemsmith.media.sound import sound
from tests.media.films import film, sound_file, spectrum_peak, tone

pytestmark = pytest.mark.slow

OPTIONS = {"max_seconds": 14400.0, "max_pixels": 1 << 20}


def heard(data: bytes, **options: float) -> np.ndarray:
    """What the job makes of a file, here and not in a child."""
    _, (samples,) = job.decode(io.BytesIO(data), {**OPTIONS, **options})
    return samples


def wav(
    samples: bytes, *, rate: int = 16_000, channels: int = 1, bits: int = 16, size: int | None = None, code: int = 1
) -> bytes:
    """A WAV file written by hand; `size` is what its header says of the samples' bytes."""
    size = len(samples) if size is None else size
    frame = channels * bits // 8
    riff = (b"RIFF", min(size + 36, 2**32 - 1), b"WAVE", b"fmt ", 16)
    form = (code, channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
    head = struct.pack("<4sI4s4sIHHIIHH", *riff, *form)
    return head + struct.pack("<4sI", b"data", size) + samples


RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]
LOSSLESS = [("wav", "pcm_s16le", rate, channels) for rate in RATES for channels in (1, 2, 6)] + [
    ("wav", "pcm_u8", 16_000, 2),
    ("wav", "pcm_s24le", 48_000, 2),
    ("wav", "pcm_s32le", 48_000, 1),
    ("wav", "pcm_f32le", 44_100, 2),
    ("wav", "pcm_f64le", 44_100, 1),
    ("w64", "pcm_s16le", 44_100, 2),
    ("aiff", "pcm_s16be", 44_100, 2),
    ("caf", "pcm_s16le", 44_100, 2),
    ("au", "pcm_s16be", 8_000, 1),
    ("flac", "flac", 44_100, 2),
    ("flac", "flac", 192_000, 6),
    ("mp4", "alac", 44_100, 2),
    ("matroska", "pcm_s16le", 48_000, 2),
    ("wv", "wavpack", 44_100, 2),
    ("tta", "tta", 44_100, 2),
]


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), LOSSLESS)
def test_what_loses_nothing_gives_the_tone_and_the_length_to_a_sample(
    container: str, codec: str, rate: int, channels: int
) -> None:
    samples = heard(sound_file(container, codec, tone(1.5, rate, channels), rate))
    assert samples.dtype == np.float32 and abs(len(samples) - 24_000) <= 1
    hertz, level = spectrum_peak(samples)
    assert hertz == 440 and level == pytest.approx(0.5, abs=0.002)
    # in time as well as in pitch: no delay of filters is left
    np.testing.assert_allclose(samples[4000:20_000], tone(1.5, SAMPLE_RATE)[0, 4000:20_000], atol=0.01)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "channels", "late"),
    [
        ("mp3", "libmp3lame", 44_100, 2, 0),
        ("mp3", "libmp3lame", 16_000, 1, 0),
        ("ogg", "libopus", 48_000, 2, 0),
        ("webm", "libopus", 48_000, 6, 0),
        ("ogg", "flac", 44_100, 1, 0),
        ("mp4", "aac", 44_100, 2, 1024),
        ("adts", "aac", 48_000, 1, 2048),  # says nothing of the encoder's delay, so it stays
        ("ac3", "ac3", 48_000, 6, 1536),
        ("mp2", "mp2", 44_100, 2, 1152),
    ],
)
def test_what_loses_a_little_gives_the_tone(container: str, codec: str, rate: int, channels: int, late: int) -> None:
    samples = heard(sound_file(container, codec, tone(1.5, rate, channels), rate))
    assert 24_000 - 1 <= len(samples) <= 24_001 + late * SAMPLE_RATE / rate
    hertz, level = spectrum_peak(samples)
    assert hertz == 440 and level == pytest.approx(0.5, rel=0.06)


def test_vorbis_is_heard() -> None:
    wave = tone(1.5, 44_100, 2)
    samples = heard(sound_file("ogg", "vorbis", wave, 44_100, {"strict": "experimental"}))
    assert abs(len(samples) - 24_000) <= 1200 and spectrum_peak(samples)[0] == 440


def test_channels_are_averaged_each_counting_the_same() -> None:
    six = np.zeros((6, 24_000), np.float32)
    six[3] = 0.6  # the fourth, which a home cinema's downmix would drop
    np.testing.assert_allclose(heard(sound_file("wav", "pcm_f32le", six, 16_000)), 0.1, atol=1e-6)
    two = np.concatenate([tone(1.5, 16_000), -tone(1.5, 16_000)])
    np.testing.assert_allclose(heard(sound_file("wav", "pcm_f32le", two, 16_000)), 0, atol=1e-6)


def test_what_is_already_right_passes_unchanged() -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, 50_000).astype(np.float32)
    np.testing.assert_array_equal(heard(wav(wave.tobytes(), bits=32, code=3)), wave)
    whole = (wave * 32_767).astype(np.int16)
    np.testing.assert_array_equal(heard(wav(whole.tobytes())), whole / np.float32(32_768))


def test_the_sound_of_a_clip_is_heard_and_a_clip_without_is_refused() -> None:
    assert spectrum_peak(heard(film(sound=tone(2, 48_000))))[0] == 440
    with pytest.raises(MediaError, match="no sound in it") as refusal:
        heard(film(count=3))
    assert refusal.value.code == "media_format"


# ---- what is refused


def test_a_wav_whose_size_lies_is_read_to_its_end() -> None:
    data = (tone(1, 16_000)[0] * 32_767).astype("<i2").tobytes()
    for lie in (0xFFFFFFFF, 0x7FFFF000, 0, len(data) + 4096):
        assert len(heard(wav(data, size=lie))) == 16_000


@pytest.mark.parametrize(
    "data",
    [
        wav(b""),
        wav(b"\0"),
        b"RIFF",
        b"RIFF\x24\0\0\0WAVEfmt ",
        sound_file("flac", "flac", tone(0.1, 16_000), 16_000)[:60],
    ],
    ids=["no samples", "half a sample", "four bytes", "no format", "a header alone"],
)
def test_no_samples_are_refused(data: bytes) -> None:
    with pytest.raises(MediaError) as refusal:
        heard(data)
    assert refusal.value.code == "media_damaged"


@pytest.mark.parametrize(
    "data",
    [
        bytes(4000),
        b"hello, world" * 400,
        b"#EXTM3U\n#EXTINF:1,\nnext.wav\n",
        b"ffconcat version 1.0\nfile next.wav\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'></MPD>",
    ],
)
def test_text_playlists_and_zeros_are_no_sound(data: bytes) -> None:
    with pytest.raises(MediaError) as refusal:
        heard(data)
    assert refusal.value.code == "media_format"


def test_playlists_lead_to_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "there.wav").write_bytes(sound_file("wav", "pcm_s16le", tone(1, 16_000), 16_000))
    for text in ("ffconcat version 1.0\nfile {}\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n"):
        with pytest.raises(MediaError) as refusal:
            heard(text.format(tmp_path / "there.wav").encode())
        assert refusal.value.code == "media_format"


def test_samples_that_are_no_numbers_are_refused() -> None:
    wave = tone(1, 16_000)[0]
    for bad in (np.nan, np.inf):
        wave[7000] = bad
        with pytest.raises(MediaError, match="no numbers"):
            heard(wav(wave.tobytes(), bits=32, code=3))


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (999, 2), (4_000_000, 1)])
def test_rates_of_no_recording_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(MediaError, match="samples a second") as refusal:
        heard(wav(bytes(4096), rate=rate, channels=channels))
    assert refusal.value.code == "media_format"


def test_384_kilohertz_and_64_channels_are_heard() -> None:
    wave = (tone(1, 384_000)[0] * 32_767).astype("<i2")
    assert abs(len(heard(wav(wave.tobytes(), rate=384_000))) - 16_000) <= 1
    many = np.repeat((tone(1, 16_000)[0] * 32_767).astype("<i2")[:, None], 64, 1)
    assert spectrum_peak(heard(wav(many.tobytes(), channels=64)))[0] == 440


def test_seconds_are_limited_by_the_header_and_while_decoding() -> None:
    flac = sound_file("flac", "flac", tone(3, 16_000), 16_000)
    with pytest.raises(MediaError, match="3 s, and 2 s are allowed") as refusal:
        heard(flac, max_seconds=2.0)
    assert refusal.value.code == "media_too_large"
    lying = bytearray(flac)  # the header's count of samples: 36 bits from byte 21 on (RFC 9639, section 8.2)
    lying[21] &= 0xF0
    lying[22:26] = bytes(4)
    with pytest.raises(MediaError, match="2 s are allowed"):
        heard(bytes(lying), max_seconds=2.0)


def test_ten_hours_of_silence_in_a_small_file_are_bounded() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=1000, layout="mono", options={"frame_size": "4608"})
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="mono")
        frame.sample_rate = 1000
        for number in range(10 * 3600 * 1000 // 4608):
            frame.pts = number * 4608
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    bomb = bytearray(buffer.getvalue())
    assert len(bomb) < 256 << 10
    with pytest.raises(MediaError, match="14400 s are allowed"):
        heard(bytes(bomb))
    bomb[21] &= 0xF0  # the header's count of samples, now unknown
    bomb[22:26] = bytes(4)
    with pytest.raises(MediaError, match="600 s are allowed"):
        heard(bytes(bomb), max_seconds=600.0)


# ---- arrays, and the way through the child


def test_arrays_are_taken_as_they_are() -> None:
    wave = tone(1, 16_000)[0]
    assert sound(wave) == Waveform(wave)
    np.testing.assert_allclose(sound(wave.astype(np.float64)).samples, wave)
    np.testing.assert_allclose(sound(np.stack([wave, 0 * wave], 1)).samples, wave / 2, atol=1e-7)
    np.testing.assert_array_equal(sound(np.array([-32768, 0, 16384], np.int16)).samples, [-1, 0, 0.5])
    np.testing.assert_array_equal(sound(np.array([-(2**31), 0, 2**30], np.int32)).samples, [-1, 0, 0.5])
    np.testing.assert_array_equal(sound(np.array([1.25, -1.5, 0.5])).samples, [1, -1, 0.5])  # clipped
    assert not np.shares_memory(sound(wave).samples, wave)


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros(0, np.float32), "media_damaged"),
        (np.zeros((0, 2), np.int16), "media_damaged"),
        (np.array([0, np.nan]), "media_damaged"),
        (np.array([[0, -np.inf], [0, np.inf]]), "media_damaged"),
        (np.array([0.0, 20_000.0]), "media_format"),
        (np.zeros((2, 100), np.float32), "media_format"),
        (np.zeros((2, 2, 2), np.float32), "media_format"),
        (np.zeros(100, np.int64), "media_format"),
        (np.zeros(100, bool), "media_format"),
        (np.zeros(100, complex), "media_format"),
    ],
)
def test_arrays_that_are_no_sound_are_refused(array: np.ndarray, code: str) -> None:
    with pytest.raises(MediaError) as refusal:
        sound(array)
    assert refusal.value.code == code


def test_long_arrays_are_refused() -> None:
    with pytest.raises(MediaError, match="3 s long"):
        sound(np.zeros(48_000, np.float32), settings=MediaSettings(max_seconds=2))


def test_files_go_through_the_child(tmp_path: Path) -> None:
    data = sound_file("flac", "flac", tone(1, 44_100, 2), 44_100)
    (tmp_path / "tone.mp3").write_bytes(data)  # what a name ends in is not believed
    whole = sound(data)
    assert whole == sound(tmp_path / "tone.mp3") == Waveform(heard(data))
    with pytest.raises(MediaError) as refusal:
        sound(data[:50])
    assert refusal.value.code == "media_damaged"
    with pytest.raises(MediaError, match=r"0\.4 s are allowed"):
        sound(data, settings=MediaSettings(max_seconds=0.4))
