"""Pictures, PDF pages, sound and clips that go before a prompt: what was typed, as parts of a message.

`attached` checks what a look at the file's first bytes tells, so that a mistyped path ends a command before a model is
loaded. Decoding is the model's, while `reading.py` looks on. Flags are `senses.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemsmith.chat.values import Audio, Document, Image, Media, Message, Text, Video
from gemsmith.cli.documents import path_of
from gemsmith.cli.reading import attending, less, shown
from gemsmith.errors import GemsmithError

if TYPE_CHECKING:
    from gemsmith.media.settings import MediaSettings

SENSES = ("image", "pdf", "audio", "video")
NOUNS = {"image": "picture", "pdf": "PDF", "audio": "sound", "video": "clip"}
KINDS: dict[type, str] = {Image: "image", Document: "pdf", Audio: "audio", Video: "video"}
PACKAGES = {"image": ("PIL",), "pdf": ("pypdfium2", "PIL"), "audio": ("av",), "video": ("av", "PIL")}
SUFFIXES = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"), "image"),
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac"), "audio"),
    **dict.fromkeys((".mp4", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg"), "video"),
    ".pdf": "pdf",
}
# what surely is not meant where a file of the kind is given: an animation may be a clip, a clip may be only heard
NEVER = {"image": ("pdf", "audio"), "pdf": ("image", "audio"), "audio": ("image", "pdf"), "video": ("pdf", "audio")}
ADDRESS = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Look:
    """How closely to look and listen: what the flags say, and commands in a chat heed."""

    tokens: int | None = None
    pages: str | None = None
    frames: int | None = None
    fps: float | None = None
    cut: bool = False
    allow_urls: bool = False

    @property
    def settings(self) -> MediaSettings | None:
        """What a model is to be told beside the parts; None where its own defaults hold."""
        from gemsmith.media.settings import MediaSettings

        return MediaSettings(allow_urls=True) if self.allow_urls else None

    def part(self, sense: str, source: Path | str) -> Media:
        """What goes into the message."""
        if sense == "image":
            return Image(source, self.tokens)
        if sense == "pdf":
            return Document(source, self.pages, self.tokens)
        if sense == "audio":
            return Audio(source, "cut" if self.cut else "refuse")
        return Video(source, self.frames, self.fps)


@dataclass(frozen=True)
class Attachment:
    """A part of a message, and the words that stand for it: a flag or command, and what was typed after it."""

    words: str
    part: Media


def attached(asked: str, typed: str, look: Look) -> Attachment:
    """The attachment that `asked` ("--image", "/image") with `typed` means. GemsmithError if it cannot be one.

    `asked` is a lone "audio" where the file is what a command is about, and no flag stands before it.
    """
    sense = asked.lstrip("-/")
    words = shown(typed) if asked == sense else f"{asked} {shown(typed)}"
    if not typed.strip():
        raise GemsmithError(f"{words}: that is no path; name a file")
    for package in PACKAGES[sense]:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    if ADDRESS.match(typed):
        if not look.allow_urls:
            where = "in a chat begun with" if asked.startswith("/") else "with"
            raise GemsmithError(f"{words}: addresses are fetched only {where} --allow-urls; or give a file")
        return Attachment(words, look.part(sense, typed))
    if typed[:5].lower() == "data:":
        return Attachment(words, look.part(sense, typed))
    path = path_typed(typed)
    _check_kind(path, sense, asked, words)
    return Attachment(words, look.part(sense, path.absolute()))


def check_senses(model: str, attachments: Sequence[Attachment]) -> None:
    """UnsupportedMediaError where the config alone tells that the model cannot take them: before gigabytes are loaded.

    A name that leads nowhere is for `gemsmith.load` to refuse.
    """
    from gemsmith.cli.show import find
    from gemsmith.errors import UnsupportedMediaError

    if not attachments:
        return
    try:
        config, _ = find(model)
    except GemsmithError:
        return
    for each in attachments:
        heard = isinstance(each.part, Audio)
        if (config.audio if heard else config.vision) is None:
            able = "sees but does not hear" if config.vision else "reads text alone"
            sense, such = ("hears", "e2b, e4b or 12b") if heard else ("sees", "e2b")
            raise UnsupportedMediaError(f"{each.words}: {model} {able}; ask a model that {sense}, such as {such}")


def path_typed(typed: str) -> Path:
    """The path a person typed or dropped into the terminal, which quotes it in one of several ways."""
    if typed.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        typed = unquote(urlsplit(typed).path)
    path = path_of(typed)
    if "\\" in typed and not path.exists():
        path = path_of(re.sub(r"\\(.)", r"\1", typed))
    return path


def _check_kind(path: Path, sense: str, asked: str, words: str) -> None:
    """Raise if there is no file, or its first bytes are of something else."""
    from gemsmith.cli.encodings import sense_of
    from gemsmith.files import regular_file

    try:
        with regular_file(path, GemsmithError) as (file, _):
            found = sense_of(file.read(64))
    except GemsmithError as error:
        reason = str(error).replace(f"cannot open {path}: ", "").replace(f"{path} is", "it is")
        raise GemsmithError(f"{words}: {reason}") from error
    if found in NEVER[sense]:
        right = f"; give it with {asked.replace(sense, found)}" if asked != sense else ", and nothing is said in it"
        raise GemsmithError(f"{words}: that is a {NOUNS[found]}{right}")


def num_tokens(model: Any, attachments: Sequence[Attachment], settings: MediaSettings | None) -> int:
    """How much of the context the attachments take; raises where the model cannot take them."""
    options = {} if settings is None else {"media": settings}
    media = [each.part for each in attachments]
    with attending(media, words_of(attachments), is_first=True):
        whole = model.render([Message("user", (*media, Text("")))], **options)
    count = len(whole.ids) - len(model.render([Message("user", (Text(""),))]).ids)
    if count >= model.max_context:
        names = ", ".join(each.words for each in attachments)
        raise GemsmithError(
            f"{names}: that is {count:,} tokens, and the model's context is {model.max_context:,}; give {less(media)}"
        )
    return count


def words_of(attachments: Sequence[Attachment]) -> dict[Media, str]:
    """What stands for each part."""
    return {each.part: each.words for each in attachments}


def is_path_of_media(line: str) -> tuple[str, Path] | None:
    """The sense and path of a line that is nothing but the path of a picture, PDF, sound or clip that is there."""
    line = line.strip()
    if not line or "\n" in line or len(line) > 4096 or "\0" in line:
        return None
    path = path_typed(line)
    sense = SUFFIXES.get(path.suffix.lower())
    try:
        return (sense, path) if sense and path.is_file() else None
    except OSError:
        return None
