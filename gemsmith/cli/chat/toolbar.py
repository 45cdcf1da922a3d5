"""The figures under the prompt: model, context, speed, and what is switched on. One line, never cut inside a word."""

from __future__ import annotations

from gemsmith.cli.attachments import KINDS, NOUNS
from gemsmith.cli.chat.keeper import Keeper
from gemsmith.cli.chat.talk import Talk
from gemsmith.cli.output import PICTURES

BETWEEN = " · "
MAX_NAME = 28


def toolbar(talk: Talk, keeper: Keeper, width: int) -> str:
    """The line, with what matters least left out where it does not fit."""
    said = segments(talk, keeper)
    for leave_out in ("", "name", "model", "think", "with", "speed", "context"):
        said.pop(leave_out, None)
        line = BETWEEN.join(said.values())
        if cells(line) <= width:
            return line
    return ""


def segments(talk: Talk, keeper: Keeper) -> dict[str, str]:
    """What there is to say, in the order of the line."""
    said = {
        "model": shortened(talk.model.name),
        "context": f"context {talk.context_used():,}/{talk.model.max_context:,}",
    }
    if talk.figures and talk.figures.tokens_per_s:
        said["speed"] = f"{talk.figures.tokens_per_s:.0f} tok/s"
    said["think"] = f"thinking {'on' if talk.conversation.think else 'off'}"
    waiting = [counted(len(talk.conversation.tools), "tool"), counted(len(talk.documents), "file")]
    for kind, sense in KINDS.items():
        waiting.append(counted(sum(isinstance(part, kind) for part in talk.media), NOUNS[sense]))
    if any(waiting):
        said["with"] = BETWEEN.join(filter(None, waiting))
    if keeper.name is not None:
        said["name"] = shortened(keeper.name)
    return said


def stats(talk: Talk, keeper: Keeper) -> str:
    """The same at length, in one sentence, for those who see no toolbar."""
    used, most = talk.context_used(), talk.model.max_context
    said = [shortened(talk.model.name), f"context {used:,} of {most:,} tokens ({used / most:.0%})"]
    if figures := talk.figures:
        speed = f", {figures.tokens_per_s:.0f} tok/s" if figures.tokens_per_s else ""
        said.append(
            f"last answer {counted(figures.completion_tokens, 'token')} in {figures.total_s:.1f} s{speed}, first word"
            f" after {figures.first_s:.1f} s"
        )
    if senses := by_sense(talk):
        said.append(senses)
    asked = sum(message.role == "user" for message in talk.conversation.messages)
    said.append(counted(asked, "question") or "nothing asked yet")
    rest = segments(talk, keeper)
    return BETWEEN.join([*said, *(rest[key] for key in ("think", "with", "name") if key in rest)])


def by_sense(talk: Talk) -> str:
    """What of the last prompt was seen and heard; nothing where it was all words."""
    usage = next((message.usage for message in reversed(talk.conversation.messages) if message.usage), None)
    if usage is None:
        return ""
    named = {"picture": usage.image_tokens, "clip": usage.video_tokens, "sound": usage.audio_tokens}
    return ", ".join(f"{count:,} tokens of {noun}s" for noun, count in named.items() if count)


def counted(number: int, noun: str) -> str:
    """ "2 tools", "1 file", and nothing for none."""
    return f"{number:,} {noun}{'s' * (number != 1)}" if number else ""


def shortened(name: str) -> str:
    """A name or path on one line: its last part, and no more than a third of a narrow terminal."""
    name = name.rstrip("/").rpartition("/")[2].translate(PICTURES).replace("\n", " ").replace("\t", " ") or name
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def cells(text: str) -> int:
    """How wide a terminal shows the text: Chinese, Japanese and pictures take two cells a character."""
    from prompt_toolkit.utils import get_cwidth

    return get_cwidth(text)
