"""A conversation as it stands: what was said, and what the model is told with it. Knows no model and no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gemsmith.chat.values import Message, Text


@dataclass
class Conversation:
    """All that was said stays in `messages`; the model sees it from `forgotten` on, where a question stands."""

    system: str | None = None
    think: bool = False
    tools: list[dict[str, Any]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    forgotten: int = 0  # messages at the beginning that no longer fit the model's context

    def seen(self, turn: Sequence[Message] = ()) -> list[Message]:
        """What the model is given: the system's words, what it remembers, and the turn that is going on."""
        system = [] if self.system is None else [Message("system", (Text(self.system),))]
        return [*system, *self.messages[self.forgotten :], *turn]

    def forget_oldest(self) -> bool:
        """Let the model forget its oldest question and all that followed from it; False if there is none."""
        questions = self.questions()
        if not questions:
            return False
        self.forgotten = questions[1] if len(questions) > 1 else len(self.messages)
        return True

    def questions(self) -> list[int]:
        """Where the questions stand that the model remembers."""
        return [i for i in range(self.forgotten, len(self.messages)) if self.messages[i].role == "user"]

    def take_back(self) -> list[Message]:
        """Remove the last question and what followed from it; return them."""
        last = max((i for i, message in enumerate(self.messages) if message.role == "user"), default=0)
        taken = self.messages[last:]
        del self.messages[last:]
        self.forgotten = min(self.forgotten, last)
        return taken

    def clear(self) -> None:
        """Begin anew; the system's words, the tools and the switch for thinking stay."""
        self.messages, self.forgotten = [], 0
