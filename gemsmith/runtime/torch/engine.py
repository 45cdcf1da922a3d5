"""Runs the torch model, one sequence after the other. No batching of unlike lengths: that is for the fast runtimes.

T query tokens   R wanted rows   M soft tokens   D hidden   V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import count

import numpy as np
import torch
from torch import Tensor

from gemsmith.cache.dense import DenseCache
from gemsmith.config.tensors import TEXT_PREFIX
from gemsmith.files import MappedFile
from gemsmith.media.prepared import Prepared
from gemsmith.model.senses import Senses
from gemsmith.model.soft import SoftRows
from gemsmith.model.text import TextModel
from gemsmith.runtime.places import Placeholders, chunks
from gemsmith.runtime.protocol import Run
from gemsmith.runtime.torch.encode import TorchSoft, encoded

CHUNK = 512  # prompt tokens per forward pass: bounds the masks and scores that stand in memory at once


class TorchRows:
    """Hidden states of the wanted rows; logits are made from them when asked."""

    def __init__(self, runtime: TorchRuntime, hidden_RD: Tensor):
        self._runtime, self._hidden_RD = runtime, hidden_RD

    @cached_property
    def _logits_RV(self) -> Tensor:
        self._runtime.check_files()
        with torch.inference_mode():
            return self._runtime.model.logits(self._hidden_RD[None])[0]

    @property
    def token_ids(self) -> np.ndarray:
        ids: np.ndarray = self._logits_RV.argmax(-1).cpu().numpy()
        return ids

    @property
    def logits(self) -> np.ndarray:
        logits: np.ndarray = self._logits_RV.cpu().numpy()
        return logits

    @property
    def hidden(self) -> np.ndarray:
        hidden: np.ndarray = self._hidden_RD.float().cpu().numpy()
        return hidden

    def likeliest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, values, log_sums = self.top(k)
        values[~np.isfinite(log_sums)] = np.nan
        return ids, values

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, ids = self._logits_RV.topk(k, dim=-1)
        for row, least, own_values, own_ids in zip(self._logits_RV, values[:, -1], values, ids, strict=True):
            reaching = (row >= least).nonzero()[:, 0]  # rising: of equals the lower id, which topk does not promise
            best = row[reaching].argsort(descending=True, stable=True)[:k]
            if len(best) == k:  # not where a value is not a number
                own_ids.copy_(reaching[best])
                own_values.copy_(row[reaching[best]])
        return ids.cpu().numpy(), values.cpu().numpy(), self._logits_RV.logsumexp(-1).cpu().numpy()


class TorchRuntime:
    """The protocol of `runtime.protocol.Runtime` over a `TextModel`, and its senses if it has any, on any device."""

    name = "torch"

    def __init__(self, model: TextModel, files: Sequence[MappedFile] = (), senses: Senses | None = None):
        """`files` are those whose pages the weights are (see `weights.files_under`)."""
        self.model, self._files, self.senses = model.eval(), files, senses
        self._placeholders = Placeholders.of(senses.config) if senses else Placeholders()
        weight = model.embed_tokens.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._caches: dict[int, DenseCache] = {}
        self._handles = count()

    @property
    def weight_bytes(self) -> dict[str, int]:
        return {TEXT_PREFIX + name: weight.nbytes for name, weight in self.model.state_dict().items()}

    def new(self) -> int:
        handle = next(self._handles)
        self._caches[handle] = DenseCache(self.model.text, dtype=self._dtype, device=self._device)
        return handle

    def fork(self, sequence: int) -> int:
        handle = next(self._handles)
        self._caches[handle] = self._caches[sequence].fork()
        return handle

    def length(self, sequence: int) -> int:
        return self._caches[sequence].length

    def trim(self, sequence: int, length: int) -> None:
        self._caches[sequence].trim(length)

    def free(self, sequence: int) -> None:
        del self._caches[sequence]

    def nbytes(self, sequence: int) -> int:
        """Bytes that the sequence's keys and values hold."""
        return self._caches[sequence].nbytes

    def encode(self, media: Prepared) -> TorchSoft:
        """Soft tokens of one picture, clip or sound. UnsupportedMediaError where the model lacks that sense."""
        self.check_files()
        with torch.inference_mode():
            return TorchSoft(encoded(self.senses, media))

    def step(self, batch: Sequence[Run]) -> TorchRows:
        with torch.inference_mode():
            return TorchRows(self, torch.cat([self._run(run) for run in batch]))

    def check_files(self) -> None:
        """ModelFileError if a file that the model runs from was changed. One changed during a pass still ends us."""
        for file in self._files:
            file.check()

    def _run(self, run: Run) -> Tensor:
        """Wanted hidden rows [R, D] of one run, its tokens taken in chunks."""
        assert len(run.ids), "a run has at least one token"
        assert all(0 <= i < len(run.ids) for i in run.wanted), f"rows {run.wanted} wanted of {len(run.ids)} tokens"
        rows = sorted(set(run.wanted))
        soft = self._soft_rows(run) if run.soft else None
        blocks = soft.block_BT[0].numpy() if soft and self.model.text.use_bidirectional_attention else None
        parts = []
        for start, end in chunks(len(run.ids), CHUNK, blocks):
            self.check_files()
            chunk = self._tensor(run.ids[start:end])
            wanted = self._tensor([i - start for i in rows if start <= i < end])
            here = _between(soft, start, end, self._device) if soft else None
            parts.append(self.model.hidden(chunk, self._caches[run.sequence], wanted_BR=wanted, soft=here)[0])
        hidden_RD = torch.cat(parts)
        return hidden_RD if list(run.wanted) == rows else hidden_RD[[rows.index(i) for i in run.wanted]]

    def _soft_rows(self, run: Run) -> SoftRows:
        """The run's soft tokens and their places; these stay on the processor until a chunk needs them."""
        are_soft, blocks = self._placeholders.are_soft(run.ids), self._placeholders.blocks(run.ids)
        rows_MD = torch.cat([soft.rows_MD for soft in run.soft if isinstance(soft, TorchSoft)])
        assert len(rows_MD) == are_soft.sum(), f"{len(rows_MD)} soft tokens for {are_soft.sum()} placeholders"
        return SoftRows(rows_MD, torch.from_numpy(are_soft)[None], torch.from_numpy(blocks)[None])

    def _tensor(self, ids: Sequence[int]) -> Tensor:
        return torch.tensor([list(ids)], dtype=torch.long, device=self._device)


def _between(soft: SoftRows, start: int, end: int, device: torch.device) -> SoftRows | None:
    """The soft tokens of one chunk; None if it has none."""
    is_soft_BT, block_BT = soft.is_soft_BT[:, start:end], soft.block_BT[:, start:end]
    before, count = int(soft.is_soft_BT[:, :start].sum()), int(is_soft_BT.sum())
    if not count:
        return None
    return SoftRows(soft.rows_MD[before : before + count], is_soft_BT.to(device), block_BT.to(device))


def set_threads(threads: int) -> None:
    """Processor threads that torch computes with, in this whole process."""
    torch.set_num_threads(threads)
