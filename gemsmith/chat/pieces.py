"""A prompt under construction: control tokens and content, kept apart until each becomes ids.

Control tokens enter by name and become their id directly; content enters as text and is encoded by a tokenizer that
holds no control token. So nothing that a user writes can become one. Adjacent text is joined into maximal runs before
it is encoded, as a tokenizer that reads the whole prompt would see it. Knows no template and no message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from gemsmith.chat.values import Audio, Document, Image, Media, Prompt, Video
from gemsmith.errors import UnsupportedMediaError

if TYPE_CHECKING:
    from gemsmith.media.prepared import Prepared
    from gemsmith.tokenizer import Tokenizer

QUOTE = '<|"|>'
PLACEHOLDERS: dict[type, str] = {
    Image: "<|image|>",
    Document: "<|image|>",
    Audio: "<|audio|>",
    Video: "<|video|>",
}


class Piece(NamedTuple):
    """A control token or a stretch of content. `learn` marks what the model itself must write.

    A placeholder carries the media it stands for. Text that merely spells one never does.
    """

    text: str
    is_control: bool
    learn: bool = False
    media: Media | None = None


class Pieces:
    """Collects pieces in order; media are among them as one placeholder each, until `filled`."""

    def __init__(self) -> None:
        self.items: list[Piece] = []
        self.learn = False

    @property
    def media(self) -> list[Media]:
        """The media that have a placeholder here, in order."""
        return [piece.media for piece in self.items if piece.media is not None]

    def control(self, name: str) -> None:
        self.items.append(Piece(name, True, self.learn))

    def text(self, text: str) -> None:
        if text:
            self.items.append(Piece(text, False, self.learn))

    def quoted(self, text: str) -> None:
        """A string of Gemma's value grammar: between quote tokens, with no escaping inside."""
        self.control(QUOTE)
        self.text(text)
        self.control(QUOTE)

    def placeholder(self, media: Media) -> None:
        self.items.append(Piece(PLACEHOLDERS[type(media)], True, self.learn, media))

    def filled(self, spans: Iterable[Sequence[Piece]]) -> Pieces:
        """The same prompt with spans (see `spans.py`) in the places of its placeholders, one for each in order."""
        whole, rest = Pieces(), iter(spans)
        for piece in self.items:
            if piece.media is None:
                whole.items.append(piece)
            else:
                whole.items += [each._replace(learn=piece.learn) for each in next(rest)]
        assert next(rest, None) is None, "more spans than placeholders"
        return whole

    def spelled(self) -> str:
        return "".join(piece.text for piece in self.items)

    def least_tokens(self, tokenizer: Tokenizer) -> int:
        """Fewer tokens than these the prompt surely has not, as its length tells without encoding it."""
        content = sum(len(piece.text) for piece in self.items if not piece.is_control)
        return sum(piece.is_control for piece in self.items) + tokenizer.least_tokens(content)

    def prompt(self, tokenizer: Tokenizer, media: Sequence[Prepared] = ()) -> Prompt:
        """The ids; `media` are those whose spans were filled in."""
        ids = encode((piece._replace(learn=False) for piece in self.items), tokenizer)
        return Prompt(tuple(ids), tuple(media), self.spelled())


def encode(pieces: Iterable[Piece], tokenizer: Tokenizer) -> list[int]:
    """The ids of some pieces, each maximal run of content encoded as one text."""
    return [id for _, ids in encode_runs(pieces, tokenizer) for id in ids]


def encode_runs(pieces: Iterable[Piece], tokenizer: Tokenizer) -> Iterable[tuple[bool, Sequence[int]]]:
    """(learn, ids) run by run. A run ends at a control token, and where `learn` changes."""
    for (is_control, learn), group in groupby(pieces, key=lambda piece: (piece.is_control, piece.learn)):
        if is_control:
            yield learn, [control_id(piece.text, tokenizer) for piece in group]
        else:
            yield learn, tokenizer.encode("".join(piece.text for piece in group))


def control_id(name: str, tokenizer: Tokenizer) -> int:
    """The id of a control token; a sense the vocabulary has no placeholder for is the user's error, not ours."""
    if name in PLACEHOLDERS.values() and name not in tokenizer.control:
        raise UnsupportedMediaError(
            f"this model's vocabulary has no {name} token: it cannot take {name.strip('<|>')} parts; remove them"
        )
    return tokenizer.control_id(name)
