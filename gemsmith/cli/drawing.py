"""`--draw OUT.png`: the boxes and points of an answer, drawn into the last picture that the question had.

Whatever cannot end in a file is told before a model is loaded. The file appears whole or not at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gemsmith.errors import GemsmithError

if TYPE_CHECKING:
    from gemsmith.chat.values import Message
    from gemsmith.cli.attachments import Attachment


def check_flags(args: argparse.Namespace) -> None:
    """Tell what --draw does not go with."""
    if args.draw is None:
        return
    if args.prompt is None:
        args.usage_error("--draw draws one answer: give PROMPT, or - for all of stdin")
    seen = [flag for flag, _ in args.media if flag in ("--image", "--pdf")]
    if not seen:
        args.usage_error("--draw needs a picture to draw into: give --image")
    if seen[-1] == "--pdf":
        args.usage_error("--draw draws into the last picture, which here is a page of --pdf: put --image after it")


def check(args: argparse.Namespace, media: Sequence[Attachment]) -> None:
    """Raise if the drawing could not be written."""
    if args.draw is None:
        return
    path = Path(args.draw)
    if path.suffix.lower() != ".png":
        raise GemsmithError(f"--draw {args.draw}: a PNG is drawn; give it a name that ends in .png")
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise GemsmithError(f"--draw {args.draw}: that is no file that could be replaced; choose another name")
    if not path.parent.is_dir():
        raise GemsmithError(f"--draw {args.draw}: there is no folder {path.parent}; create it first")
    if not is_writable(path.parent):
        raise GemsmithError(f"--draw {args.draw}: nothing can be written in {path.parent}; choose another folder")
    for attachment in media:
        source = attachment.part.source
        if isinstance(source, Path) and path.exists() and source.exists() and path.samefile(source):
            raise GemsmithError(f"--draw {args.draw}: that would replace what {attachment.words} shows; choose another")


def is_writable(folder: Path) -> bool:
    """Whether a file can be made there, which nothing but making one tells: permissions are not all."""
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def draw(args: argparse.Namespace, media: Sequence[Attachment], message: Message) -> None:
    """Draw what the answer marks, and say what that is; without marks there is nothing to draw, which is said too."""
    from gemsmith.chat.values import Image
    from gemsmith.cli import senses
    from gemsmith.cli.output import note
    from gemsmith.cli.reading import attending
    from gemsmith.files import atomic_file
    from gemsmith.media.draw import draw as drawn
    from gemsmith.media.settings import MediaSettings

    marks = message.marks
    for reason in marks.left_out:
        note(f"left out of the drawing: {reason}")
    last = len(message.pictures or ()) - 1
    boxes = [box for box in marks.boxes if box.picture == last]
    points = [point for point in marks.points if point.picture == last]
    if elsewhere := len(marks.boxes) + len(marks.points) - len(boxes) - len(points):
        note(f"{elsewhere} of what the answer marks lies in other pictures than the last, and is not drawn")
    if not boxes and not points:
        note(f"the answer marks nothing in the picture, so {args.draw} was not written")
        return
    picture = next(each for each in reversed(media) if isinstance(each.part, Image))
    with attending([picture.part], {picture.part: picture.words}):
        data = drawn(picture.part.source, boxes, points, settings=senses.settings(args) or MediaSettings())
    try:
        with atomic_file(Path(args.draw)) as file:
            file.write(data)
    except OSError as cause:
        raise GemsmithError(f"--draw {args.draw}: cannot be written: {cause.strerror or cause}") from cause
    note(f"{args.draw}: {told(len(boxes), len(points))}")


def told(boxes: int, points: int) -> str:
    """ "2 boxes and 1 point"."""
    counts = (f"{boxes} box{'es' * (boxes != 1)}" * bool(boxes), f"{points} point{'s' * (points != 1)}" * bool(points))
    return " and ".join(filter(None, counts))
