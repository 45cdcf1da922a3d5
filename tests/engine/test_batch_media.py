"""Media in lines of a batch: inline they are read, and what they name elsewhere is never opened."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gemsmith.chat.record import to_record
from gemsmith.chat.values import Audio, Image, Message, ToolCall, ToolResult
from gemsmith.engine.batch.answers import answer
from gemsmith.engine.batch.inline import check_inline
from gemsmith.engine.batch.lines import Line
from gemsmith.engine.batch.request import Defaults
from gemsmith.errors import MediaError
from tests.engine.fake import fake_model, text_ids

WAV = (
    b"RIFF" + (36 + 3200).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    + b"\x01\x00\x01\x00" + (16_000).to_bytes(4, "little") + (32_000).to_bytes(4, "little") + b"\x02\x00\x10\x00"
    + b"data" + (3200).to_bytes(4, "little") + bytes(3200)
)  # fmt: skip


def answered(content: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": content}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    told = answer(Line(1, json.dumps(line).encode()), fake_model(text_ids("Yes")), "m", Defaults(), lambda: None)
    return json.loads(told.data)["response"]


@pytest.mark.slow  # a sound is decoded in a process of its own
def test_a_sound_in_a_line_is_heard() -> None:
    data = base64.b64encode(WAV).decode()
    response = answered([{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}])
    assert response["status_code"] == 200
    assert response["body"]["choices"][0]["message"]["content"] == "Yes"
    assert response["body"]["usage"]["prompt_tokens_details"]["audio_tokens"] == 3


@pytest.mark.parametrize("source", ["/etc/hostname", "a.png", "file:///etc/hostname", "http://127.0.0.1:1/a.png", ""])
def test_what_a_line_names_elsewhere_is_not_opened(source: str) -> None:
    response = answered([{"type": "image_url", "image_url": {"url": source}}])
    error = response["body"]["error"]
    assert (response["status_code"], error["code"]) == (400, "MediaError")
    assert error["message"].startswith("picture 1: a line of a batch holds its media itself")
    assert "hostname" not in error["message"]


def test_records_and_tool_results_name_nothing_elsewhere_either() -> None:
    asked = Message("assistant", (ToolCall("f", {}), ToolResult((Image("a.png"),))))
    for messages in (
        [Message("user", (Audio(Path("a.wav")),))],
        ["hi", asked],
        [to_record(Message("user", (Image("a.png"),)))],
    ):
        with pytest.raises(MediaError, match="holds its media itself"):
            check_inline(messages)
    check_inline([Message("user", (Audio(b"RIFF"), Image("DATA:image/png;base64,AAAA")))])
