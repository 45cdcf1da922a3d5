"""The native engine behind the runtime protocol: packed weights, fused steps, no torch.

Prompts go in chunks, so that activations stay near the processor; runs of several sequences share a chunk, so that
weights are read once for all of them. A row's bits depend on neither.

    T tokens   R wanted rows   M soft tokens   D hidden   V vocabulary
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from gemsmith import kernels
from gemsmith.config import ModelConfig
from gemsmith.errors import GemsmithError, ModelFileError, UnsupportedMediaError
from gemsmith.formats.pack import usually_read
from gemsmith.media.prepared import Prepared
from gemsmith.runtime.cpu.lower import Program
from gemsmith.runtime.places import Placeholders, chunks
from gemsmith.runtime.protocol import Run, Soft

CHUNK = 256  # rows a pass: activations of the widest layers stay within the second-level cache and its neighbour

Encode = Callable[[Prepared], Soft]


class CpuRows:
    """Hidden states of the wanted rows; what is asked of the vocabulary is computed when it is asked."""

    def __init__(self, engine: Any, hidden_RD: np.ndarray):
        self._engine, self.hidden = engine, hidden_RD

    @property
    def token_ids(self) -> np.ndarray:
        return self.likeliest(1)[0][:, 0]

    @property
    def logits(self) -> np.ndarray:
        logits: np.ndarray = self._engine.logits(self.hidden)
        return logits

    def likeliest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, values = self._engine.likeliest(self.hidden, k)
        return ids, values

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, values, log_sums = self._engine.top(self.hidden, k)
        return ids, values, log_sums[:, 0]


class CpuRuntime:
    """The protocol of `runtime.protocol.Runtime` over a program of native steps."""

    name = "cpu"

    def __init__(
        self,
        config: ModelConfig,
        program: Program,
        *,
        threads: int | None = None,
        kv: str = "bf16",
        encode: Encode | None = None,
        check_files: Callable[[], None] = lambda: None,
    ):
        """`encode` makes soft tokens, where the model has senses and something here can run them."""
        native = kernels.native()
        self.config, self.program, self.kv = config, program, kv
        self._encode, self.check_files = encode, check_files
        threads = threads or native.default_threads()
        try:
            self._engine = native.Engine(program.native(), threads, kv, config.text.pad_token_id)
        except ValueError as cause:
            raise ModelFileError(f"the native engine cannot run this model: {cause}") from cause
        except RuntimeError as cause:
            raise GemsmithError(f"{cause}; load the model with fewer (--threads)") from cause
        self._placeholders = Placeholders.of(config)
        self._is_two_way = config.text.use_bidirectional_attention is not None

    @property
    def threads(self) -> int:
        """How many the engine computes with."""
        threads: int = self._engine.threads
        return threads

    @property
    def weight_bytes(self) -> dict[str, int]:
        """What is usually read of each of the text decoder's packed tensors."""
        views = (view for view in self.program.tensors.values() if view.arrangement != "plain")
        return {v.name: usually_read(v.format, v.rows, v.cols, v.buffer.nbytes) for v in views}

    def new(self) -> int:
        handle: int = self._engine.create()
        return handle

    def fork(self, sequence: int) -> int:
        handle: int = self._engine.fork(sequence)
        return handle

    def length(self, sequence: int) -> int:
        length: int = self._engine.length(sequence)
        return length

    def trim(self, sequence: int, length: int) -> None:
        self._engine.trim(sequence, length)

    def free(self, sequence: int) -> None:
        self._engine.free(sequence)

    def nbytes(self, sequence: int) -> int:
        """Bytes that the sequence's keys and values hold."""
        nbytes: int = self._engine.nbytes(sequence)
        return nbytes

    def encode(self, media: Prepared) -> Soft:
        """Soft tokens of one picture, clip or sound. UnsupportedMediaError where nothing here can make them."""
        if self._encode is None:
            raise UnsupportedMediaError("this model has no senses: its file holds text weights alone")
        self.check_files()
        return self._encode(media)

    def step(self, batch: Sequence[Run]) -> CpuRows:
        waiting = [deque(self._pieces(run)) for run in batch]
        rows: list[list[np.ndarray]] = [[] for _ in batch]
        before = [self.length(run.sequence) for run in batch]
        try:
            while any(waiting):
                self.check_files()
                taken = _taken(waiting)
                hidden_RD = self._engine.step([piece for _, piece in taken])
                start = 0
                for i, piece in taken:
                    end = start + len(piece[2])
                    rows[i].append(hidden_RD[start:end])
                    start = end
        except BaseException:  # Ctrl-C between two chunks, a changed file: what was read of the batch is forgotten
            for run, length in zip(batch, before, strict=True):
                with suppress(ValueError):  # a window has moved past it
                    self.trim(run.sequence, length)
            raise
        parts = [_in_order(np.concatenate(own), run.wanted) for own, run in zip(rows, batch, strict=True)]
        return CpuRows(self._engine, parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _pieces(self, run: Run) -> list[tuple[Any, ...]]:
        """A run in chunks, as the extension takes them: sequence, ids, wanted, is_soft, blocks, soft rows."""
        assert len(run.ids), "a run has at least one token"
        assert all(0 <= i < len(run.ids) for i in run.wanted), f"rows {run.wanted} wanted of {len(run.ids)} tokens"
        ids_T = np.asarray(run.ids, np.int32)
        wanted_R = np.unique(np.asarray(run.wanted, np.int64))
        soft_MD = is_soft_T = blocks_T = None
        if run.soft:
            soft_MD = np.ascontiguousarray(np.concatenate([soft.numpy() for soft in run.soft]), np.float32)
            is_soft_T = self._placeholders.are_soft(run.ids).astype(np.uint8)
            assert len(soft_MD) == is_soft_T.sum(), f"{len(soft_MD)} soft tokens for {is_soft_T.sum()} placeholders"
            if self._is_two_way:
                blocks_T = self._placeholders.blocks(run.ids).astype(np.int32)
        pieces = []
        for start, end in chunks(len(ids_T), CHUNK, blocks_T):
            wanted = wanted_R[(wanted_R >= start) & (wanted_R < end)] - start
            soft = None
            if soft_MD is not None and is_soft_T is not None:
                before = int(is_soft_T[:start].sum())
                soft = soft_MD[before : before + int(is_soft_T[start:end].sum())]
            flags = is_soft_T[start:end] if soft is not None and is_soft_T is not None else None
            blocks = blocks_T[start:end] if blocks_T is not None else None
            pieces.append((run.sequence, ids_T[start:end], wanted, flags, blocks, soft))
        return pieces


def _taken(waiting: list[deque[tuple[Any, ...]]]) -> list[tuple[int, tuple[Any, ...]]]:
    """The next piece of as many runs as fit into one chunk together, at least one."""
    taken: list[tuple[int, tuple[Any, ...]]] = []
    room = CHUNK
    for i, pieces in enumerate(waiting):
        if pieces and (not taken or len(pieces[0][1]) <= room):
            room -= len(pieces[0][1])
            taken.append((i, pieces.popleft()))
    return taken


def _in_order(rows_RD: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Rows of the sorted, distinct wanted indices, as they were asked for."""
    rising = sorted(set(wanted))
    return rows_RD if list(wanted) == rising else rows_RD[[rising.index(i) for i in wanted]]
