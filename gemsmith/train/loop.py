"""The training loop: draw a batch, take a step, now and then look and save. Resumes bit for bit.

A batch is a pure function of its step's number, so the state of a run is its weights, the optimizer's two moments and
the number of steps taken: nothing about data, randomness or schedule has to be remembered. Not here: losses
(`loss`), data (`data`), adapters, several devices.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from gemsmith import ops
from gemsmith.data.packing import Batch
from gemsmith.model.text import TextModel
from gemsmith.train import state
from gemsmith.train.loss import cross_entropy, exact_match, tensors
from gemsmith.train.optimizer import adamw
from gemsmith.train.schedule import Points, learning_rate


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train. Lengths are in steps unless their name says otherwise."""

    steps: int
    learning_rates: Points  # straight lines between these (step, rate) points
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0
    log_every: int = 20
    save_every: int = 200
    check_every: int = 500
    bf16: bool = True  # matrix products in bfloat16; weights and moments stay float32
    compile: bool = True
    workers: int = 1  # processes that prepare batches ahead; 0 prepares them in line


def train(
    model: TextModel,
    config: TrainConfig,
    make_batch: Callable[[int], Batch],
    folder: Path,
    held_out: Mapping[str, Batch] | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Train `model` in place up to `config.steps`, saving to `folder` and resuming from what it holds.

    `make_batch(step)` must be picklable and depend on nothing but its argument. `held_out` batches are scored by
    `loss.exact_match` every `check_every` steps. `report` receives one flat record per log line, which is also
    appended to `folder`/log.jsonl. TrainingError if the folder holds another model's state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = adamw(model, weight_decay=config.weight_decay, betas=config.betas)
    start = state.restore(folder, model, optimizer)
    ops.attention.resolve()
    loss_of = torch.compile(cross_entropy, dynamic=False) if config.compile else cross_entropy
    log = _Log(folder / "log.jsonl", report)
    # Compiled for several threads, backward adds up gathered rows in no fixed order unless it is told to.
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        _take_steps(model, optimizer, loss_of, log, start, config, make_batch, folder, held_out)
    finally:
        torch.use_deterministic_algorithms(deterministic)


def _take_steps(
    model: TextModel,
    optimizer: torch.optim.AdamW,
    loss_of: Callable[..., torch.Tensor],
    log: _Log,
    start: int,
    config: TrainConfig,
    make_batch: Callable[[int], Batch],
    folder: Path,
    held_out: Mapping[str, Batch] | None,
) -> None:
    for step, batch in _batches(make_batch, start, config.steps, config.workers):
        rate = learning_rate(step, config.learning_rates)
        _set_learning_rate(optimizer, rate)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            loss = loss_of(model, *tensors(batch))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        if torch.isfinite(norm):  # one bad batch must not poison the weights
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.add(loss, norm, batch)
        if (step + 1) % config.log_every == 0:
            log.write(step + 1, rate)
        if held_out and ((step + 1) % config.check_every == 0 or step + 1 == config.steps):
            log.write_scores(step + 1, check(model, held_out, bf16=config.bf16))
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            state.save(folder, model, optimizer, step + 1)


def check(model: TextModel, held_out: Mapping[str, Batch], *, bf16: bool) -> dict[str, float]:
    """Share of examples without a slip, per held-out batch."""
    model.eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        counts = {name: exact_match(model, batch) for name, batch in held_out.items()}
    model.train()
    return {name: right / max(total, 1) for name, (right, total) in counts.items()}


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _batches(make_batch: Callable[[int], Batch], start: int, stop: int, workers: int) -> Iterator[tuple[int, Batch]]:
    if not workers:
        yield from ((step, make_batch(step)) for step in range(start, stop))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        ahead: deque[Future[Batch]] = deque()
        steps = iter(range(start, stop))
        for step in range(start, stop):
            while len(ahead) < 4 * workers and (upcoming := next(steps, None)) is not None:
                ahead.append(pool.submit(make_batch, upcoming))
            yield step, ahead.popleft().result()


class _Log:
    """Collects between two lines, then appends one JSON record."""

    def __init__(self, path: Path, report: Callable[[dict[str, Any]], None] | None):
        self.path, self.report = path, report
        self._restart()

    def _restart(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.num_tokens = self.num_targets = 0
        self.since = time.monotonic()

    def add(self, loss: torch.Tensor, norm: torch.Tensor, batch: Batch) -> None:
        self.losses.append(loss.detach())
        self.norms.append(norm.detach())
        self.num_tokens += int((batch.segments > 0).sum())
        self.num_targets += batch.num_targets

    def write(self, step: int, rate: float) -> None:
        seconds = time.monotonic() - self.since
        self._append(
            {
                "step": step,
                "loss": round(float(torch.stack(self.losses).mean()), 5),
                "grad_norm": round(float(torch.stack(self.norms).mean()), 4),
                "learning_rate": rate,
                "tokens": self.num_tokens,
                "targets": self.num_targets,
                "tokens_per_s": round(self.num_tokens / seconds),
            }
        )
        self._restart()

    def write_scores(self, step: int, scores: dict[str, float]) -> None:
        self._append({"step": step, "held_out": {name: round(score, 4) for name, score in scores.items()}})

    def _append(self, record: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if self.report:
            self.report(record)
