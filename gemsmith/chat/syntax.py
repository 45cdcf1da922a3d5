"""Gemma's value grammar, both directions: `{city:<|"|>Paris<|"|>,days:2,l:[true,null]}`.

Strings stand between quote tokens with nothing escaped, keys are bare and sorted, numbers look as Python prints them
(which is what jinja prints). Writing follows `format_argument` of Google's canonical Gemma 4 template of 2026-07-09.
Reading works on pieces (control tokens already told apart from text) by recursive descent: linear time, bounded depth,
no guessing. What is not in the grammar raises `SyntaxProblem` with the reason; `parse` keeps the text visible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from gemsmith.chat.pieces import QUOTE, Piece, Pieces
from gemsmith.chat.values import ToolCall
from gemsmith.errors import MessageError

MAX_DEPTH = 64
MAX_DIGITS = 4000  # Python refuses to convert integers of more than 4300
PUNCTUATION = "{}[],:"
NAME_MARKS = "_-.:/$@#"


class SyntaxProblem(Exception):
    """Why some text of the model is no call. Never leaves this package."""


def sorted_items(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """As jinja's `dictsort`: by key, upper and lower case alike, ties in the order given."""
    for key in mapping:
        if not isinstance(key, str):
            raise MessageError(f"keys must be strings; got {key!r} ({type(key).__name__})")
    return sorted(mapping.items(), key=lambda item: item[0].lower())


def write_value(pieces: Pieces, value: Any, *, quote_keys: bool = False, depth: int = 0) -> None:
    """One value; inside declarations the template also puts keys between quotes."""
    if depth > MAX_DEPTH:
        raise MessageError(f"a value is nested deeper than {MAX_DEPTH} levels (or contains itself)")
    if value is None:
        pieces.text("null")
    elif isinstance(value, str):
        pieces.quoted(value)
    elif isinstance(value, bool):
        pieces.text("true" if value else "false")
    elif isinstance(value, (int, float)):
        pieces.text(_number(value))
    elif isinstance(value, Mapping):
        _write_mapping(pieces, value, quote_keys, depth)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        _write_list(pieces, value, quote_keys, depth)
    else:
        raise MessageError(f"a value of type {type(value).__name__} cannot be written for the model; use JSON's types")


def _number(value: int | float) -> str:
    if isinstance(value, int) and value.bit_length() > 3 * MAX_DIGITS:
        raise MessageError(f"an integer of {value.bit_length()} bits is too long to write")
    return str(value)


def _write_mapping(pieces: Pieces, value: Mapping[str, Any], quote_keys: bool, depth: int) -> None:
    pieces.text("{")
    for number, (key, item) in enumerate(sorted_items(value)):
        pieces.text("," if number else "")
        pieces.quoted(key) if quote_keys else pieces.text(key)
        pieces.text(":")
        write_value(pieces, item, quote_keys=quote_keys, depth=depth + 1)
    pieces.text("}")


def _write_list(pieces: Pieces, value: Sequence[Any], quote_keys: bool, depth: int) -> None:
    pieces.text("[")
    for number, item in enumerate(value):
        pieces.text("," if number else "")
        write_value(pieces, item, quote_keys=quote_keys, depth=depth + 1)
    pieces.text("]")


def write_call(pieces: Pieces, call: ToolCall) -> None:
    pieces.control("<|tool_call>")
    pieces.text("call:" + call.name)
    write_value(pieces, call.arguments)
    pieces.control("<tool_call|>")


def is_name(text: str) -> bool:
    """Whether a tool can be called so: letters, digits and a few marks, as OpenAI, MCP and Gemini use them."""
    return bool(text) and all(char.isalnum() or char in NAME_MARKS for char in text)


class Token(NamedTuple):
    """One lexical unit: punctuation, a bare `word`, or a `string` that stood between quote tokens."""

    kind: str
    text: str


def read_call(body: Sequence[Piece]) -> ToolCall:
    """The call whose body (between the call's control tokens) is given. `call:` itself may be missing."""
    return _Reader(_tokens(body)).call()


def _tokens(body: Sequence[Piece]) -> list[Token]:
    tokens: list[Token] = []
    pieces = iter(_joined(body))
    for piece in pieces:
        if not piece.is_control:
            tokens.extend(_words(piece.text))
        elif piece.text == QUOTE:
            tokens.append(_string(pieces))
        else:
            raise SyntaxProblem(f"{piece.text} inside a call")
    return tokens


def _joined(body: Sequence[Piece]) -> Iterator[Piece]:
    """Text came token by token; a number or a word may span several."""
    for is_control, group in groupby(body, key=lambda piece: piece.is_control):
        if is_control:
            yield from group
        else:
            yield Piece("".join(piece.text for piece in group), False)


def _string(pieces: Iterator[Piece]) -> Token:
    text = ""
    for piece in pieces:
        if not piece.is_control:
            text = piece.text
        elif piece.text == QUOTE:
            return Token("string", text)
        else:
            raise SyntaxProblem(f"{piece.text} inside a string")
    raise SyntaxProblem("a string was not closed")


def _words(text: str) -> list[Token]:
    tokens, start = [], 0
    for end, char in enumerate(text + ","):
        if char in PUNCTUATION:
            word = text[start:end].strip()
            if word:
                tokens.append(Token("word", word))
            if end < len(text):
                tokens.append(Token(char, char))
            start = end + 1
    return tokens


class _Reader:
    """Recursive descent over tokens; a method per rule, each consumes what it names."""

    def __init__(self, tokens: list[Token]):
        self.tokens, self.at = tokens, 0

    def next(self) -> Token:
        if self.at >= len(self.tokens):
            raise SyntaxProblem("the call breaks off")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, kind: str) -> Token:
        token = self.next()
        if token.kind != kind:
            raise SyntaxProblem(f"expected {kind}, found {token.text[:40]!r}")
        return token

    def is_next(self, kind: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].kind == kind

    def call(self) -> ToolCall:
        name = self.name()
        arguments = self.mapping(0)
        if self.at < len(self.tokens):
            raise SyntaxProblem(f"{self.tokens[self.at].text[:40]!r} after the end of the call")
        return ToolCall(name, arguments)

    def name(self) -> str:
        start = self.at
        while self.at < len(self.tokens) and self.tokens[self.at].kind in ("word", ":"):
            self.at += 1
        name = "".join(token.text for token in self.tokens[start : self.at]).removeprefix("call:")
        if not is_name(name):
            raise SyntaxProblem(f"{name[:40]!r} is no tool's name" if name else "the call names no tool")
        return name

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise SyntaxProblem(f"nested deeper than {MAX_DEPTH} levels")
        if self.is_next("{"):
            return self.mapping(depth)
        if self.is_next("["):
            return self.list(depth)
        token = self.next()
        return token.text if token.kind == "string" else scalar(token.text)

    def mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self.expect("{")
        while not self.is_next("}"):
            if values:
                self.expect(",")
            key = self.next()
            if key.kind not in ("word", "string") or not key.text:
                raise SyntaxProblem(f"expected a key, found {key.text[:40]!r}")
            if key.text in values:
                raise SyntaxProblem(f"key {key.text[:40]!r} is given twice")
            self.expect(":")
            values[key.text] = self.value(depth + 1)
        self.expect("}")
        return values

    def list(self, depth: int) -> list[Any]:
        values: list[Any] = []
        self.expect("[")
        while not self.is_next("]"):
            if values:
                self.expect(",")
            values.append(self.value(depth + 1))
        self.expect("]")
        return values


def scalar(word: str) -> Any:
    """A bare word: true, false, null or a JSON number. Bare text is not taken for a string."""
    if word in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[word]
    digits = word.removeprefix("-")
    whole = digits.split(".")[0].split("e")[0].split("E")[0]
    is_number = whole.isdecimal() and whole.isascii() and (whole == "0" or whole[0] != "0")
    if not is_number or len(digits) > MAX_DIGITS or "_" in word:
        raise SyntaxProblem(f"{word[:40]!r} is no value: strings stand between {QUOTE}")
    try:
        number = int(word) if digits == whole else float(word)
    except ValueError:
        raise SyntaxProblem(f"{word[:40]!r} is no number") from None
    if isinstance(number, float) and not math.isfinite(number):
        raise SyntaxProblem(f"{word[:40]!r} is too large a number")
    return number
