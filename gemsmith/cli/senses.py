"""The flags of what a model sees and hears: --image, --pdf, --audio, --video, and how closely it looks.

Adds them to a command, tells what does not go together, and makes attachments of them, in the order they were typed.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemsmith.cli.attachments import Attachment, Look

TOKENS = (70, 140, 280, 560, 1120)
PAGES = re.compile(r"\s*\d+(\s*-\s*\d*)?\s*(,\s*\d+(\s*-\s*\d*)?\s*)*")
HELP = {
    "image": "put this picture before the prompt",
    "pdf": "put the pages of this PDF before the prompt",
    "audio": "put this sound before the prompt",
    "video": "put this clip before the prompt, with its sound if the model hears",
}
# flag -> what it is nothing without
NEEDS = {
    "image_tokens": ("image", "pdf"),
    "pages": ("pdf",),
    "frames": ("video",),
    "fps": ("video",),
    "cut_audio": ("audio",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group(
        "pictures, documents, sound and clips", "Repeatable, and taken in the order they are typed in."
    )
    for sense, text in HELP.items():
        flag = f"--{sense}"
        group.add_argument(
            flag, dest="media", action="append", type=_given(flag), default=[], metavar="PATH", help=text
        )
    group.add_argument(
        "--image-tokens",
        type=int,
        choices=TOKENS,
        metavar="N",
        help="tokens for each picture or page: 70 and 140 tell what is in it, 280 suits pictures (unless said), 560"
        " documents (pages, unless said), 1120 small print; more takes longer",
    )
    group.add_argument("--pages", type=_pages, metavar="LIST", help="pages of --pdf, from 1: 1-3,7 (all)")
    group.add_argument("--frames", type=_count, metavar="N", help="frames of --video, evenly spread")
    group.add_argument(
        "--fps", type=_rate, metavar="X", help="frames of --video a second (unless said, 1, and 60 at most)"
    )
    group.add_argument(
        "--cut-audio", action="store_true", help="cut sound of more than 30 s at quiet places, instead of refusing it"
    )
    group.add_argument("--allow-urls", action="store_true", help="fetch a PATH that is an http or https address")
    group.add_argument(
        "--draw", metavar="OUT.png", help="draw the answer's boxes and points into the last --image, as a new PNG"
    )


def _given(flag: str) -> Callable[[str], tuple[str, str]]:
    """Keeps a path with the flag it was typed after, since all flags fill one list."""
    from gemsmith.cli.options import words

    return lambda text: (flag, words(text) if text.startswith(("data:", "http")) else text)


def _pages(text: str) -> str:
    if not PAGES.fullmatch(text):
        raise argparse.ArgumentTypeError(f"pages are numbers and ranges from 1, as in 1-3,7, found {text[:60]!r}")
    for each in text.split(","):
        first, dash, last = each.partition("-")
        if not 0 < int(first) <= (int(last) if dash and last.strip() else int(first)):
            raise argparse.ArgumentTypeError(f"pages are counted from 1, the smaller first, found {text[:60]!r}")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 1 << 20):
        raise argparse.ArgumentTypeError(f"frames are counted from 1, found {text[:60]!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"frames a second are more than 0 and at most 1000, found {text[:60]!r}")
    return rate


def check(args: argparse.Namespace, *, is_chat: bool) -> None:
    """Tell what does not go together. In a chat, flags without media are for /image and its like."""
    here = {flag.lstrip("-") for flag, _ in args.media}
    if args.frames is not None and args.fps is not None:
        args.usage_error("--frames counts frames and --fps says how many a second: give one of them")
    for key, senses in NEEDS.items():
        if getattr(args, key) not in (None, False) and not here & set(senses) and not is_chat:
            flag = "--" + key.replace("_", "-")
            args.usage_error(f"{flag} says how to take {' or '.join(f'--{each}' for each in senses)}: give one")


def look(args: argparse.Namespace) -> Look:
    """How closely to look, as the flags say."""
    from gemsmith.cli.attachments import Look

    return Look(args.image_tokens, args.pages, args.frames, args.fps, args.cut_audio, args.allow_urls)


def attachments(args: argparse.Namespace) -> list[Attachment]:
    """What the flags attach, in their order. GemsmithError for what cannot be."""
    from gemsmith.cli.attachments import attached

    how = look(args)
    return [attached(flag, typed, how) for flag, typed in args.media]


def settings(args: argparse.Namespace) -> Any:
    """The `MediaSettings` that the flags ask for, or None."""
    return look(args).settings
