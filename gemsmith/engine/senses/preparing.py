"""Parts of messages to prepared media, in order: decoded and resized by `media`, each source once in a request.

A sound longer than the model hears at once is refused, or cut where the part asks for it; a clip's sound track is
always cut, and left out where the model does not hear. What is left out or cut unasked is told as a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path

from gemsmith.chat.values import Audio, Document, Image, Media, Video
from gemsmith.config import ModelConfig, UnifiedVisionConfig, VisionConfig
from gemsmith.engine.senses.counting import num_soft_tokens
from gemsmith.engine.senses.names import blaming, named
from gemsmith.engine.senses.refusal import check_count
from gemsmith.errors import ContextLengthError, MediaError
from gemsmith.media.prepared import Prepared, Waveform
from gemsmith.media.settings import MediaSettings

PAGE_TOKENS = 560  # a page has more to read than a photograph
FRAME_TOKENS = 70  # what the released video processor gives each frame
MOST_SECONDS = 30.0  # of sound that a model hears at once: 750 soft tokens, what it was trained on
PATH = (str, Path)

Items = tuple[Prepared, ...]


class Preparing:
    """Prepares the media of one request."""

    def __init__(self, config: ModelConfig, settings: MediaSettings, room: int | None = None):
        """`room` is how many soft tokens the context has left for; more is refused as soon as it is known."""
        self.config, self.settings, self.room = config, settings, room
        self._known: dict[Hashable, Items] = {}

    def prepared(self, media: Sequence[Media]) -> list[Items]:
        """What each part has become: one picture, pages, frames with the sounds behind them, or sounds."""
        check_count(len(media), self.settings)
        items = named(media)
        for name, part in items:
            with blaming(name, part):
                self._check(part)
        out: list[Items] = []
        num_tokens = num_items = 0
        for name, part in items:
            with blaming(name, part):
                out.append(self._once(name, part))
                num_tokens += sum(self._counted(each) for each in out[-1])
            num_items += len(out[-1])
            check_count(num_items, self.settings)
            if self.room is not None and num_tokens > self.room:
                raise _NoRoom(num_tokens)
        return out

    def _check(self, part: Media) -> None:
        """What can be known of a part before it is opened."""
        from gemsmith.media.resize import check_budget

        if part.source is None:
            raise MediaError("media_not_found", "it names no source; give a path, bytes, a data: URL or an array")
        if not isinstance(part, Audio) and part.tokens is not None:
            check_budget(part.tokens)

    def _once(self, name: str, part: Media) -> Items:
        key = _key(part)
        if key not in self._known:
            self._known[key] = self._made(name, part)
        return self._known[key]

    def _made(self, name: str, part: Media) -> Items:
        if isinstance(part, Image):
            from gemsmith.media.picture import picture

            return (picture(part.source, tokens=part.tokens or self._picture_tokens(), settings=self.settings),)
        if isinstance(part, Document):
            from gemsmith.media.document import pages

            return pages(part.source, pages=part.pages, tokens=part.tokens or PAGE_TOKENS, settings=self.settings)
        return self._heard(name, part) if isinstance(part, Audio) else self._watched(name, part)

    def _picture_tokens(self) -> int:
        """The model's own budget: 280 in every released size."""
        vision = self.config.vision
        own = vision.num_soft_tokens if isinstance(vision, UnifiedVisionConfig) else None
        own = vision.default_output_length if isinstance(vision, VisionConfig) else own
        return self.config.vision_soft_tokens_per_image or own or 280

    def _heard(self, name: str, part: Audio) -> Items:
        from gemsmith.media.sound import sound

        whole = sound(part.source, settings=self.settings)
        if whole.seconds > MOST_SECONDS and part.longer != "cut":
            raise MediaError(
                "media_too_large",
                f"it lasts {whole.seconds:.2f} s, and a model hears at most {MOST_SECONDS:g} s at once; have it cut at"
                " quiet places (longer='cut'), or give a part of it",
            )
        return _cut(whole)

    def _watched(self, name: str, part: Video) -> Items:
        from gemsmith.media.clip import clip

        hears = self.config.audio is not None
        tokens = part.tokens or FRAME_TOKENS
        made = clip(
            part.source, frames=part.frames, fps=part.fps, tokens=tokens, sound=part.sound and hears,
            settings=self.settings,
        )  # fmt: skip
        if made.remark:
            _say(name, made.remark)
        if part.sound and not hears and isinstance(part.source, (*PATH, bytes, bytearray)):
            _say(name, "this model sees but does not hear: of the clip it gets the frames, and no sound track")
        track = made.sound
        if track is None:
            return (made.frames,)
        if not num_soft_tokens(track, self.config):
            _say(name, "its sound track is too short to hear, and left out")
            return (made.frames,)
        if track.seconds > MOST_SECONDS:
            _say(name, f"its sound track of {track.seconds:.0f} s is cut at quiet places: 30 s are heard at once")
        return (made.frames, *_cut(track))

    def _counted(self, item: Prepared) -> int:
        count = num_soft_tokens(item, self.config)
        if not count:
            raise MediaError("media_damaged", "it is too short to hear: less than a soft token's worth of sound")
        return count


class _NoRoom(Exception):
    """More soft tokens than the context has room for."""

    def __init__(self, num_tokens: int):
        self.num_tokens = num_tokens


def prepare(
    media: Sequence[Media], config: ModelConfig, settings: MediaSettings, *, num_text: int = 0, limit: int | None = None
) -> list[Items]:
    """Everything prepared; ContextLengthError as soon as `num_text` and the soft tokens so far are over `limit`."""
    room = None if limit is None else limit - num_text
    try:
        return Preparing(config, settings, room).prepared(media)
    except _NoRoom as error:
        assert limit is not None
        most = config.text.max_position_embeddings
        raise ContextLengthError(num_text + error.num_tokens, limit, most, is_least=True) from None


def _cut(sound: Waveform) -> Items:
    from gemsmith.media.cut import cut

    return cut(sound, MOST_SECONDS) if sound.seconds > MOST_SECONDS else (sound,)


def _key(part: Media) -> Hashable:
    """Equal for parts that would become the same: paths, addresses and bytes by content, other objects by identity."""
    source = part.source
    is_plain = isinstance(source, (*PATH, bytes))
    options = tuple(getattr(part, name) for name in part.__dataclass_fields__ if name != "source")
    return type(part), type(source), source if is_plain else id(source), options


def _say(name: str, remark: str) -> None:
    warnings.warn(f"{name}: {remark}", stacklevel=2)
