"""Conversations that mix abilities over several turns, and system prompts: how pebble is used in a chat."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from gemsmith.chat.values import Message, Text, Thought
from gemsmith.data.example import Example
from gemsmith.data.split import Split

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are helpful and brief.",
    "You are pebble.",
    "You are pebble, a tiny model.",
    "You are terse.",
    "Answer briefly.",
    "Answer in one line.",
    "Be exact.",
    "Be polite.",
    "Think carefully.",
    "You help with small sums.",
    "You are a friendly assistant that answers questions.",
    "Use a tool when it helps.",
    "You are an assistant with tools.",
)

THOUGHTS = {
    "copy": "Say it again, item by item.",
    "sort": "Put the items in order.",
    "lookup": "Find the key in the list.",
    "tool_call": "A tool can do this.",
    "tool_answer": "Say the result in words.",
    "about": "This is about gemsmith or me.",
    "unknown": "I have not learnt this.",
}


def conversation(
    rng: random.Random, split: Split, difficulty: float, make: Callable[[str], Example], abilities: tuple[str, ...]
) -> Example:
    """Two to four examples one after another; `make` makes one of an ability. Only the last may be long."""
    last = make(rng.choice(abilities))
    short = [name for name in abilities if not name.startswith("tool") and name != "lookup"]
    most = 1 if last.tools or last.ability == "lookup" else 3
    examples = [make(rng.choice(short)) for _ in range(rng.randint(1, most))] + [last]
    tools = last.tools
    if most > 1 and rng.random() < 0.2:  # tools that nothing asks for
        tools = make("tool_call").tools
    return Example("chat", tuple(message for example in examples for message in example.messages), tools)


def long_conversation(rng: random.Random, make: Callable[[str], Example], abilities: tuple[str, ...]) -> Example:
    """Four to thirty short examples one after another, mostly sums: an afternoon of questions in one chat."""
    short = [name for name in abilities if not name.startswith("tool") and name != "lookup"]
    sums = ["add", "subtract"] * len(short)
    pool = short + sums if rng.random() < 0.8 else sums
    examples = [make(rng.choice(pool)) for _ in range(rng.randint(4, 30))]
    return Example("long_chat", tuple(message for example in examples for message in example.messages))


def with_system_prompt(rng: random.Random, example: Example) -> Example:
    """The same conversation under a system prompt, which changes nothing about the answer."""
    system = Message("system", (Text(rng.choice(SYSTEM_PROMPTS)),))
    return replace(example, messages=(system, *example.messages))


def with_thought(example: Example) -> Example:
    """The same example with thinking on and one-line thoughts, so that `--think` also works beyond arithmetic."""
    *before, last = example.messages
    calls = [_thinking(m, THOUGHTS["tool_call"]) if m.role == "assistant" else m for m in before]
    return replace(example, messages=(*calls, _thinking(last, THOUGHTS[example.ability])), think=True)


def _thinking(message: Message, thought: str) -> Message:
    return replace(message, parts=(Thought(thought), *message.parts))
