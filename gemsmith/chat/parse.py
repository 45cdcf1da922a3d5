"""Ids of the model to a message: one state machine over token ids, fed one id at a time.

Streaming and whole are the same code, so they cannot differ. Control tokens are recognised by id, never by their text;
thoughts are told apart whether closed, nested, repeated or cut short; a call is read by Gemma's grammar (`syntax.py`)
once it is complete, and what is no call stays visible as `Malformed` with the reason. How peers lose such calls:
ollama#15315, ollama#17882, vllm#53431.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from gemsmith.chat.pieces import QUOTE, Piece
from gemsmith.chat.syntax import SyntaxProblem, read_call
from gemsmith.chat.values import Event, FinishReason, Malformed, Message, Part, Text, Thought, ToolCall
from gemsmith.tokenizer import StreamDecoder, Tokenizer

HEADER = "thought\n"
ENDS = ("<turn|>", "<eos>", "<|tool_response>")


def parse(
    ids: Iterable[int], tokenizer: Tokenizer, *, in_thought: bool = False, finish_reason: FinishReason = "stop"
) -> Message:
    """The message in all the ids of one reply. `in_thought` where the prompt already opened a thought."""
    parser = Parser(tokenizer, in_thought=in_thought)
    for id in ids:
        parser.push(id)
    message = parser.finish(finish_reason)[-1].message
    assert message is not None
    return message


def opens_thought(ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether a prompt ends inside a thought, as after a tool result with thinking on: then parse with `in_thought`."""
    last = next((id for id in reversed(ids) if id in tokenizer.control_ids), None)
    return last is not None and tokenizer.token(last) == "<|channel>"


class Parser:
    """Events of one reply. `push` each id, then `finish` once; the last event holds the whole message."""

    def __init__(self, tokenizer: Tokenizer, *, in_thought: bool = False):
        self.tokenizer = tokenizer
        self.state: Literal["text", "header", "thought", "call", "ended"] = "thought" if in_thought else "text"
        self.decoder = StreamDecoder(tokenizer)
        self.held = ""  # thought text not yet shown: the header, leading space, or one final newline
        self.is_blank = True  # this thought has shown nothing yet
        self.call: list[Piece] = []
        self.parts: list[Part] = []  # finished ones
        self.open: list[str] = []  # the text or thought that is growing
        self.open_type: type[Text] | type[Thought] | None = None
        self.num_thought_tokens = 0
        self.events: list[Event] = []

    def push(self, id: int) -> list[Event]:
        """What one more id makes visible."""
        self.events = []
        if self.state == "ended":
            return self.events
        if self.state in ("header", "thought"):
            self.num_thought_tokens += 1
        if id in self.tokenizer.control_ids:
            self._text(self.decoder.finish())
            self._control(self.tokenizer.token(id))
        else:
            self._text(self.decoder.push(id))
        return self.events

    def finish(self, finish_reason: FinishReason = "stop") -> list[Event]:
        """Closes what is open; the last event is `done`."""
        self.events = []
        self._text(self.decoder.finish())
        if self.state == "call":
            self._end_call("the reply ended inside a call")
        self._end_thought(is_closed=False)
        self._close_part()
        self.state = "ended"
        if finish_reason == "stop" and any(isinstance(part, ToolCall) for part in self.parts):
            finish_reason = "tool_calls"
        self.events.append(Event("done", message=Message("assistant", tuple(self.parts), finish_reason=finish_reason)))
        return self.events

    def _control(self, name: str) -> None:
        if self.state == "call" and name not in (*ENDS, "<tool_call|>", "<|tool_call>", "<|channel>"):
            self.call.append(Piece(name, True))
            return
        if self.state == "call":
            self._end_call("" if name == "<tool_call|>" else f"the call was not closed before {name}")
        elif name == "<tool_call|>":
            self._malformed(name, "a call ends that had not begun")
        elif name == QUOTE:
            self._text('"')  # in prose, the model means the character
        if name in ("<|channel>", "<channel|>", "<|tool_call>", *ENDS):
            self._end_thought(is_closed=name == "<channel|>")
            self._open(name)

    def _open(self, name: str) -> None:
        if name == "<|channel>":
            self.state = "header"
        elif name == "<|tool_call>":
            self.state, self.call = "call", []
        else:
            self.state = "ended" if name in ENDS else "text"

    def _text(self, text: str) -> None:
        if not text or self.state == "ended":
            return
        if self.state == "call":
            self.call.append(Piece(text, False))
        elif self.state == "text":
            self._add(Text(text))
        else:
            self._thought(text)

    def _thought(self, text: str) -> None:
        """Shows a thought without its header, without a blank start, and without its one final newline."""
        self.held += text
        if self.state == "header":
            if HEADER.startswith(self.held) and self.held != HEADER:
                return
            self.held = self.held.removeprefix(HEADER)
            self.state = "thought"
        if self.is_blank and not self.held.strip():
            return
        end = len(self.held) - self.held.endswith("\n")
        self._add(Thought(self.held[:end]))
        self.held, self.is_blank = self.held[end:], False

    def _end_thought(self, *, is_closed: bool) -> None:
        """A blank thought, or a bare header, leaves nothing. One that was cut short keeps its final newline."""
        is_other_channel = self.state == "header" and self.held != HEADER.strip() and bool(self.held.strip())
        is_cut_short = self.state == "thought" and not is_closed and not self.is_blank
        if is_other_channel or is_cut_short:
            self._add(Thought(self.held))
        if self.open_type is Thought:
            self._close_part()
        self.held, self.is_blank = "", True

    def _end_call(self, unclosed: str) -> None:
        """A complete body is a call even if its closing token is missing; anything else stays visible."""
        try:
            self._add(read_call(self.call))
        except SyntaxProblem as problem:
            closing = "" if unclosed else "<tool_call|>"
            text = "<|tool_call>" + "".join(piece.text for piece in self.call) + closing
            self._malformed(text, f"{problem}; {unclosed}" if unclosed else str(problem))
        self.state, self.call = "text", []

    def _malformed(self, text: str, reason: str) -> None:
        self._add(Malformed(text, reason))

    def _add(self, part: Text | Thought | ToolCall | Malformed) -> None:
        """Shows what is new. Text goes on where text was, whatever empty thought stood between."""
        if isinstance(part, (Text, Thought)):
            self._grow(type(part), part.text)
            return
        self._close_part()
        self.parts.append(part)
        if isinstance(part, ToolCall):
            self.events.append(Event("tool_call", tool_call=part))
        else:
            self.events.append(Event("error", text=part.text, reason=part.reason))

    def _grow(self, kind: type[Text] | type[Thought], text: str) -> None:
        if not text:
            return
        if kind is not self.open_type:
            self._close_part()
            self.open_type = kind
        self.open.append(text)
        self.events.append(Event("text" if kind is Text else "thought", text=text))

    def _close_part(self) -> None:
        if self.open_type is not None:
            self.parts.append(self.open_type("".join(self.open)))
        self.open, self.open_type = [], None
