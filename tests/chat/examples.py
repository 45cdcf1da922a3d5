"""Types and functions to declare, and how a declaration is read in tests."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

from pydantic import BaseModel, Field

from gemsmith.chat import read_tool
from gemsmith.chat.declare import write_declaration
from gemsmith.chat.pieces import Pieces


def declared(tool: Any) -> str:
    """A tool's declaration, with plain quotes for the quote token."""
    pieces = Pieces()
    write_declaration(pieces, read_tool(tool))
    return pieces.spelled().replace('<|"|>', "'")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Leaf(BaseModel):
    """A leaf of the tree."""

    items: list[int]
    type: Literal["x"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: str


class Search(BaseModel):
    """Search things."""

    query: str = Field(description="what to look for")
    limit: Optional[int] = None  # noqa: UP045 (the older spelling is tested too)
    leaf: Leaf
    leaves: list[Leaf]
    maybe: Leaf | None = None
    pet: Cat | Dog
    mixed: int | str | list[Leaf]
    counts: dict[str, float]
    places: dict[str, Leaf]
    properties: str
    description: bool
    required: list[str]
    title: str
    nullable: bool
    pair: tuple[int, str]
    level: Literal[1, 2]
    whatever: Any
    nested: list[list[Cat]]


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Ping(BaseModel):
    pong: Pong | None = None


class Pong(BaseModel):
    ping: Ping
    score: float


@dataclasses.dataclass
class Node:
    """A node.

    Args:
        value: what it holds
    """

    value: int
    children: list[Node] = dataclasses.field(default_factory=list)


class Where(TypedDict):
    lat: float
    label: NotRequired[str]


class Point(NamedTuple):
    x: int
    y: int = 0


def weather(
    city: str,
    days: int = 3,
    unit: Literal["c", "f"] = "c",
    *,
    color: Color = Color.RED,
    node: Node,
    where: Where,
    leaf: Leaf,
    point: Point,
    heat: Annotated[float, "degrees"],
    either: int | str | None = None,
    rows: list[dict[str, int]] = [],  # noqa: B006
    when: datetime.date | None = None,
    tags: set[str] = frozenset(),  # type: ignore[assignment]
    guess=2.5,  # type: ignore[no-untyped-def]
):
    """Weather now,
    in a place.

    And later.

    Args:
        city: The city,
            e.g. Paris: the capital
        days (int, optional): how many
        **ignored: nothing

    Returns:
        A report.
    """
