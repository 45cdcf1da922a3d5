"""Documents and code for a prompt: read in any encoding, and fenced so that their content cannot end the fence.

`read` turns a file into text; `fenced` is how the model sees it; `check_room` tells in tokens what does not fit, before
the model is asked.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemsmith.cli.encodings import Decoded, decode
from gemsmith.cli.output import PICTURES
from gemsmith.errors import GemsmithError
from gemsmith.files import read_bytes

MAX_BYTES = 32 << 20
BYTES_PER_TOKEN = 64  # more than any token but a run of spaces has: what is larger than this surely does not fit


@dataclass(frozen=True)
class Document:
    """One file: its name, its text, and how that was read."""

    name: str
    text: str
    encoding: str = "utf-8"
    is_guess: bool = False

    def fenced(self) -> str:
        """The name, and the text between fences longer than any run of backticks in it."""
        longest = max((len(run) for run in re.findall("`+", self.text)), default=0)
        fence = "`" * max(3, longest + 1)
        end = "" if self.text.endswith("\n") or not self.text else "\n"
        return f"File: {self.name}\n{fence}\n{self.text}{end}{fence}"


def read(path: str, *, encoding: str | None = None, most_tokens: int | None = None) -> Document:
    """The document at `path`; GemsmithError if it is no text, or surely too long."""
    file = path_of(path)
    limit = MAX_BYTES if most_tokens is None else min(MAX_BYTES, max(1 << 16, most_tokens * BYTES_PER_TOKEN))
    name = shown_name(file)
    try:
        data = read_bytes(file, limit, GemsmithError)
    except GemsmithError as error:
        if "more than the" not in str(error):
            raise
        raise GemsmithError(
            f"{name} has {file.stat().st_size:,} bytes, far more than {_room(most_tokens)}; give a part of it"
        ) from None
    found: Decoded = decode(data, name, encoding)
    return Document(name, found.text.replace("\r\n", "\n"), found.encoding, found.is_guess)


def path_of(typed: str) -> Path:
    """The path a person typed, quotes and ~ taken as a shell takes them."""
    if len(typed) > 1 and typed[0] == typed[-1] and typed[0] in "\"'":
        typed = typed[1:-1]
    if "\0" in typed:
        raise GemsmithError(f"{typed!r} is no path: it holds a NUL")
    return Path(os.path.expanduser(typed))


def _room(most_tokens: int | None) -> str:
    return f"the model's context of {most_tokens:,} tokens holds" if most_tokens else "a prompt may have"


def shown_name(file: Path) -> str:
    """A file's name on one line, harmless: a name is a stranger's text too."""
    name = file.name or str(file)
    return re.sub(r"[\n\t\x85\u2028\u2029`]", "?", name.translate(PICTURES))


def num_tokens(model: Any, document: Document) -> int:
    """How much of the context the document takes; GemsmithError if it alone is more than there is."""
    text = document.fenced()
    least = model.tokenizer.least_tokens(len(text))
    is_counted = least < model.max_context  # counting megabytes takes seconds
    count = len(model.tokenizer.encode(text)) if is_counted else least
    if count >= model.max_context:
        most = model.config.text.max_position_embeddings
        larger = f", or run with a larger --max-context, up to {most}" if most > model.max_context else ""
        raise GemsmithError(
            f"{document.name} is {'' if is_counted else 'at least '}{count:,} tokens, and the model's context is"
            f" {model.max_context:,}; give a part of it{larger}"
        )
    return count


def remark(document: Document) -> str | None:
    """What a person should know of how it was read; None where nothing was guessed."""
    if not document.is_guess:
        return None
    return f"{document.name} read as {document.encoding}, a guess; if it looks wrong, say --encoding NAME"
