"""`--json`: a reply as one JSON object a line, for programs. Strict JSON, and every line is written at once.

The kinds are those of `gemsmith.chat.values.Event`: text, thought, tool_call, error, and last `done` with the whole
message, its usage and timings. A prompt that cannot be answered ends with `failed` instead.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from gemsmith.chat.part_record import call_record
from gemsmith.chat.record import to_record
from gemsmith.chat.values import Event, Message, Text
from gemsmith.cli.chat.heard import Heard
from gemsmith.cli.output import write


def show_events(heard: Heard) -> Message | None:
    """Print the events of a reply; return its message."""
    for event in heard:
        if event.kind != "done":
            write_line(record_of(event))
    message = heard.message
    if message is not None:
        record = to_record(message)
        usage, reason = record.get("usage"), record.get("finish_reason")
        done = {"kind": "done", "message": record, "usage": usage, "finish_reason": reason}
        write_line(done | marked(message) | {"timings": timings(heard)})
    return message


def show_pieces(pieces: Iterable[str]) -> None:
    """Print a raw continuation, which has neither usage nor a reason to end."""
    start_s = time.perf_counter()
    said: list[str] = []
    for piece in pieces:
        said.append(piece)
        write_line({"kind": "text", "text": piece})
    record = to_record(Message("assistant", (Text("".join(said)),)))
    done = {"kind": "done", "message": record, "usage": None, "finish_reason": None}
    write_line(done | {"timings": {"total_s": round(time.perf_counter() - start_s, 6)}})


def show_failure(error: Exception) -> None:
    """Say that this prompt has no answer, and why."""
    write_line({"kind": "failed", "error": type(error).__name__, "reason": str(error)})


def record_of(event: Event) -> dict[str, Any]:
    """One event as JSON has it."""
    if event.kind == "tool_call" and event.tool_call is not None:
        return {"kind": event.kind, "tool_call": call_record(event.tool_call)}
    reason = {} if event.reason is None else {"reason": event.reason}
    return {"kind": event.kind, "text": event.text, **reason}


def marked(message: Message) -> dict[str, Any]:
    """Boxes and points of an answer about pictures, in their pixels, where it has any."""
    marks = message.marks
    boxes, points = [asdict(box) for box in marks.boxes], [asdict(point) for point in marks.points]
    return {kind: found for kind, found in (("boxes", boxes), ("points", points)) if found}


def timings(heard: Heard) -> dict[str, float | None]:
    """Seconds to the first event and to the last, and tokens a second in between."""
    figures = heard.figures()
    speed = figures.tokens_per_s if figures else None
    return {
        "first_s": round(heard.first_s, 6),
        "total_s": round(heard.total_s, 6),
        "tokens_per_s": None if speed is None else round(speed, 3),
    }


def write_line(value: dict[str, Any]) -> None:
    """One line of strict JSON. Where stdout is not UTF-8, all else than ASCII is escaped, so that nothing is lost."""
    is_utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not is_utf8, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        text = json.dumps(value, allow_nan=False)
    write(sys.stdout, text + "\n")
