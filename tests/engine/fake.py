"""A runtime that writes what a test tells it to, and a Model around it: the generate loop without a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from gemsmith.config import GenerationConfig, ModelConfig, preset
from gemsmith.engine import Model
from gemsmith.engine.sampler import likeliest
from gemsmith.engine.senses.counting import num_soft_tokens
from gemsmith.hub.names import DEFAULT_TOKENIZER
from gemsmith.media.prepared import Prepared
from gemsmith.runtime.protocol import Run
from gemsmith.tokenizer import Tokenizer, load_tokenizer

V = 4096
EOS, END_OF_TURN, TOOL_RESPONSE = 1, 106, 50


class FakeRuntime:
    """Whatever it reads, it writes the script's next token; after the last, <turn|>. An array is a row of logits."""

    name = "fake"

    def __init__(self, script: Sequence[int | np.ndarray]):
        self.script = list(script)
        self.live: dict[int, int] = {}  # sequence -> tokens it holds
        self.batches: list[list[int]] = []  # ids of every step
        self.soft: list[int] = []  # soft tokens of every step
        self.encoded: list[Prepared] = []
        self._steps: dict[int, int] = {}
        self._handles = count()

    def new(self) -> int:
        handle = next(self._handles)
        self.live[handle] = self._steps[handle] = 0
        return handle

    def length(self, sequence: int) -> int:
        return self.live[sequence]

    def free(self, sequence: int) -> None:
        del self.live[sequence]

    def encode(self, media: Prepared) -> FakeSoft:
        self.encoded.append(media)
        return FakeSoft(num_soft_tokens(media, preset("tiny-random-e2b")))

    def step(self, batch: Sequence[Run]) -> Any:
        (run,) = batch
        self.batches.append(list(run.ids))
        self.soft.append(sum(map(len, run.soft)))
        self.live[run.sequence] += len(run.ids)
        at = self._steps[run.sequence]
        self._steps[run.sequence] += 1
        return FakeRows(row(self.script[at] if at < len(self.script) else END_OF_TURN)[None])


class FakeSoft:
    def __init__(self, count: int):
        self._count = count

    def __len__(self) -> int:
        return self._count

    def numpy(self) -> np.ndarray:
        return np.zeros((self._count, 32), np.float32)


class FakeRows:
    def __init__(self, logits: np.ndarray):
        self.logits = logits

    def likeliest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids_RK = np.stack([likeliest(row_V, k) for row_V in self.logits])
        values_RK = np.take_along_axis(self.logits, ids_RK, -1)
        values_RK[~np.isfinite(self.logits).all(-1)] = np.nan
        return ids_RK, values_RK


def row(wanted: int | np.ndarray) -> np.ndarray:
    """Logits that leave no doubt about one token."""
    if isinstance(wanted, np.ndarray):
        return wanted
    logits = np.zeros(V, dtype=np.float32)
    logits[wanted] = 100.0
    return logits


@cache
def tokenizer() -> Tokenizer:
    return load_tokenizer(DEFAULT_TOKENIZER)


def fake_model(
    script: Sequence[int | np.ndarray], *, max_context: int = 512, config: ModelConfig | None = None, **generation: Any
) -> Model:
    """A model of E2B's kind, which sees and hears."""
    runtime: Any = FakeRuntime(script)
    config = config or preset("tiny-random-e2b")
    return Model("fake", config, runtime, tokenizer(), GenerationConfig(**generation), max_context)


def text_ids(text: str) -> list[int]:
    """The ids of a text, several characters in one where the vocabulary has them."""
    return tokenizer().encode(text)


def byte_ids(text: str) -> list[int]:
    """One byte token after the other: every character beyond ASCII is split."""
    return [tokenizer().vocabulary.tokens.index(f"<0x{byte:02X}>") for byte in text.encode()]


def control(*texts: str) -> list[int]:
    return [tokenizer().control_id(text) for text in texts]
