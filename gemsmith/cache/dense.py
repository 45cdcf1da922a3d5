"""Where keys and values of one sequence live between steps: a ring for sliding layers, growing storage for full ones.

Layers that share K/V store nothing; they are handed what the layer they read has returned. Bytes allocated equal
`config.cost.kv_bytes(config, length, growth=growth)`. Not here: paging, sharing between sequences, smaller types.

    B batch   T new tokens   S readable tokens   K key/value heads   H head dim
"""

from __future__ import annotations

import torch
from torch import Tensor

from gemsmith.config import LayerConfig, TextConfig

GROWTH = 256  # positions by which storage grows; what a short chat wastes at most

KeyValue = tuple[Tensor, Tensor]


class DenseCache:
    """Keys and values of B sequences of equal length. `length` counts the tokens seen so far."""

    def __init__(
        self,
        text: TextConfig,
        *,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        batch: int = 1,
        growth: int = GROWTH,
    ):
        self.length = 0
        self.window = text.sliding_window
        self.stores = {
            layer.index: _Store(layer, text.sliding_window, batch, growth, dtype, torch.device(device))
            for layer in text.layers
            if layer.makes_kv
        }

    @property
    def nbytes(self) -> int:
        """Bytes allocated, over all layers."""
        return sum(store.nbytes for store in self.stores.values())

    def key_positions(self, is_sliding: bool, num_new: int, device: torch.device) -> Tensor:
        """Positions [S] of the keys that `append` will return for `num_new` rows, in the order it returns them."""
        new = torch.arange(self.length, self.length + num_new, device=device)
        if not is_sliding or self.length <= self.window:
            return torch.arange(self.length + num_new, device=device)
        slots = torch.arange(self.window, device=device)
        last = self.length - 1
        return torch.cat([last - (last - slots) % self.window, new])  # the newest position that fell into each slot

    def append(self, layer: int, k_BTKH: Tensor, v_BTKH: Tensor) -> KeyValue:
        """Store the new rows of one layer; return all it may read, old and new: two tensors [B, S, K, H]."""
        return self.stores[layer].append(self.length, k_BTKH, v_BTKH)

    def advance(self, num_new: int) -> None:
        """Count `num_new` rows as seen, once every layer has appended them."""
        self.length += num_new

    def trim(self, length: int) -> None:
        """Forget all but the first `length` tokens. ValueError if a ring has already overwritten what that needs."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot trim to {length} tokens: {self.length} are stored")
        wrapped = self.length > self.window and any(s.is_sliding for s in self.stores.values())
        if wrapped and 0 < length < self.length:
            raise ValueError(
                f"cannot trim to {length} of {self.length} tokens: the window of {self.window} has moved on"
            )
        self.length = length

    def fork(self) -> DenseCache:
        """An independent copy that continues from the same tokens."""
        twin = object.__new__(DenseCache)
        twin.length, twin.window = self.length, self.window
        twin.stores = {index: store.copy() for index, store in self.stores.items()}
        return twin


class _Store:
    """One layer's rows. Position p lives in slot p % capacity, and capacity never exceeds the window when sliding."""

    def __init__(
        self, layer: LayerConfig, window: int, batch: int, growth: int, dtype: torch.dtype, device: torch.device
    ):
        self.is_sliding, self.growth = layer.is_sliding, growth
        self.limit = window if layer.is_sliding else None
        shape = (batch, 0, layer.num_key_value_heads, layer.head_dim)
        self.k = torch.empty(shape, dtype=dtype, device=device)
        self.v = torch.empty(shape, dtype=dtype, device=device)

    @property
    def nbytes(self) -> int:
        return self.k.nbytes + self.v.nbytes

    def append(self, length: int, k_BTKH: Tensor, v_BTKH: Tensor) -> KeyValue:
        stored = length if self.limit is None else min(length, self.limit)
        k, v = self.k[:, :stored], self.v[:, :stored]
        if torch.is_grad_enabled() and (k_BTKH.requires_grad or k.requires_grad):
            return self._append_differentiably(k, v, k_BTKH, v_BTKH, length)
        if self.is_sliding:  # read before writing: the new rows still see what they are about to overwrite
            readable = torch.cat([k, k_BTKH], dim=1), torch.cat([v, v_BTKH], dim=1)
            self._write(length, k_BTKH, v_BTKH)
            return readable
        self._write(length, k_BTKH, v_BTKH)
        end = length + k_BTKH.shape[1]
        return self.k[:, :end], self.v[:, :end]

    def _write(self, length: int, k_BTKH: Tensor, v_BTKH: Tensor) -> None:
        end = length + k_BTKH.shape[1]
        self._reserve(end)
        keep = k_BTKH.shape[1] if self.limit is None else min(k_BTKH.shape[1], self.limit)
        slots = torch.arange(end - keep, end, device=self.k.device) % self.k.shape[1]
        self.k[:, slots] = k_BTKH[:, -keep:].to(self.k.dtype)
        self.v[:, slots] = v_BTKH[:, -keep:].to(self.v.dtype)

    def _reserve(self, length: int) -> None:
        capacity = -(-length // self.growth) * self.growth
        capacity = capacity if self.limit is None else min(capacity, self.limit)
        if capacity > self.k.shape[1]:
            self.k, self.v = (_grown(t, capacity) for t in (self.k, self.v))

    def _append_differentiably(self, k: Tensor, v: Tensor, k_BTKH: Tensor, v_BTKH: Tensor, length: int) -> KeyValue:
        """Rows that carry gradients are not written in place: new storage is made, so that backward sees the old."""
        all_k, all_v = torch.cat([k, k_BTKH], dim=1), torch.cat([v, v_BTKH], dim=1)
        self.k, self.v = all_k, all_v
        end = length + k_BTKH.shape[1]
        if self.limit is not None and end > self.limit:
            # back into slot order: the last `limit` rows, the oldest of them at slot end % limit
            newest = torch.cat([_oldest_first(k, length, self.limit), k_BTKH], dim=1)[:, -self.limit :]
            newest_v = torch.cat([_oldest_first(v, length, self.limit), v_BTKH], dim=1)[:, -self.limit :]
            self.k = newest.roll(end % self.limit, dims=1)
            self.v = newest_v.roll(end % self.limit, dims=1)
        return all_k, all_v

    def copy(self) -> _Store:
        twin = object.__new__(_Store)
        twin.is_sliding, twin.growth, twin.limit = self.is_sliding, self.growth, self.limit
        twin.k, twin.v = self.k.clone(), self.v.clone()
        return twin


def _grown(t: Tensor, capacity: int) -> Tensor:
    bigger = t.new_empty((t.shape[0], capacity, *t.shape[2:]))
    bigger[:, : t.shape[1]] = t
    return bigger


def _oldest_first(t: Tensor, length: int, limit: int) -> Tensor:
    return t.roll(-(length % limit), dims=1) if length > limit else t
