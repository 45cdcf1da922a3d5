"""Opens a container of sound or moving pictures with `av`, and lets it reach nothing but that one file.

Playlists and manifests (HLS, DASH, concat, SDP …) name other files or addresses; they are no format here, and a
container that still asks for another file is told there is none. Formats and codecs are those people keep things in: a
decoder of a game console of 1994 is only a way in. Knows neither frames nor samples. Imported in the child only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.error import FFmpegError

from gemsmith.errors import MediaError

# libavformat's names of demuxers (https://ffmpeg.org/ffmpeg-formats.html)
FORMATS = (
    "aac,ac3,aiff,amr,ape,apng,asf,au,avi,caf,dts,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mpeg,mpegts,"
    "mpegvideo,mxf,nut,obu,ogg,tta,voc,w64,wav,wv"
)

# libavcodec's names of decoders (https://ffmpeg.org/ffmpeg-codecs.html); those that begin with pcm_ are let in as well
PICTURES = (
    "apng av1 cinepak dnxhd dvvideo ffv1 ffvhuff flv gif h263 h263i h264 hevc huffyuv libaom-av1 libdav1d libvpx"
    " libvpx-vp9 mjpeg mpeg1video mpeg2video mpeg4 mpegvideo msmpeg4 msmpeg4v1 msmpeg4v2 msvideo1 png prores qtrle"
    " rawvideo svq1 svq3 theora utvideo v210 vc1 vp8 vp9 vvc wmv1 wmv2 wmv3"
)
SOUNDS = (
    "aac aac_fixed aac_latm ac3 ac3_fixed adpcm_ima_qt adpcm_ima_wav adpcm_ms alac amrnb amrwb ape dca eac3 flac gsm"
    " gsm_ms libopencore_amrnb libopencore_amrwb libopus libspeex libvorbis mp1 mp1float mp2 mp2float mp3 mp3float opus"
    " speex truehd tta vorbis wavpack wmapro wmav1 wmav2"
)

# how files of the formats above begin: what begins so and cannot be opened is damaged, anything else is no such file
BEGINNINGS = (b"RIFF", b"FORM", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\x1aE\xdf\xa3", b"GIF8", b"FLV", b"caff")


class _Nameless:
    """The file without its name: a name's ending would tell the format, and it stands in errors."""

    def __init__(self, file: BinaryIO):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _no_other_file(url: str, flags: int, options: dict[str, str]) -> Any:
    raise PermissionError


@contextmanager
def opened(file: BinaryIO, max_pixels: int) -> Iterator[Any]:
    """The container of `file`, from its beginning; what libav says of it becomes one of our few errors."""
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    file.seek(0)
    beginning = file.read(16)
    file.seek(0)
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "none",
        "max_pixels": str(max_pixels),  # what a codec's own header says, which need not be what the container's says
    }
    if beginning[8:12] == b"WAVE":
        options["probesize"] = "32768"  # else libav looks through megabytes of plain samples for DTS among them: 25 ms
    try:
        container = av.open(_Nameless(file), mode="r", options=options, io_open=_no_other_file)
    except MemoryError:
        raise
    except (FFmpegError, ValueError, PermissionError):
        raise _unopened(beginning) from None
    try:
        yield container
    finally:
        container.close()


def _unopened(beginning: bytes) -> MediaError:
    if beginning[8:12] == b"WEBP":
        return MediaError("media_format", "the file is a WebP picture, not sound or a clip; give it as a picture")
    if beginning.startswith(BEGINNINGS) or beginning[4:8] in (b"ftyp", b"moov", b"mdat"):
        return MediaError("media_damaged", "the file begins like sound or a clip, but it is damaged or cut short")
    return MediaError("media_format", "the file is neither sound nor a clip in a format that is known here")


def check_codec(stream: Any, known: str, what: str) -> None:
    """Refuse a stream that none of the known decoders reads."""
    name = stream.codec_context.name if stream.codec_context else ""
    if name not in known.split() and not name.startswith("pcm_"):
        raise MediaError("media_format", f"the file has {what} in a coding that is not known here")


def check_seconds(seconds: float, most: float) -> None:
    """Refuse what is longer than allowed; asked of the header first and again while decoding, since headers lie."""
    if seconds > most:
        raise MediaError(
            "media_too_large",
            f"the file lasts at least {seconds:.0f} s, and {most:g} s are allowed; cut it, or raise max_seconds",
        )


def header_seconds(container: Any, stream: Any) -> float:
    """How long the header says the stream is; 0 where it does not say."""
    own = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    whole = container.duration / 1e6 if container.duration else 0.0
    return max(own, whole)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of one stream to the end, without the empty one that `av` ends with."""
    with clear():
        for packet in container.demux(stream):
            if packet.pts is None and not packet.size:
                return
            yield packet


def decoded(stream: Any, packets: Iterator[Any]) -> Iterator[Any]:
    """Frames of the packets, then what the decoder still held.

    Packets before the first frame may be undecodable: a recording can begin in the middle of a stream. After it, one
    that is undecodable means damage.
    """
    begun = False
    for packet in itertools.chain(packets, [None]):
        with clear(lambda: begun or packet is None):  # noqa: B023 asked at once
            for frame in stream.decode(packet):
                begun = True
                yield frame


@contextmanager
def clear(is_damage: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Turns libav's errors into ours; swallows them where they are no damage."""
    try:
        yield
    except MemoryError:
        raise
    except (FFmpegError, PermissionError):
        if is_damage():
            raise MediaError("media_damaged", "the file is damaged: a part of it cannot be decoded") from None
