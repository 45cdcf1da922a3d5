"""Soft tokens of media that were seen or heard lately, so that the next turn of a conversation need not look again.

Kept by content (`Prepared.digest`: a picture at another budget has other pixels), the last used, up to a number of
bytes. The work is the runtime's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from gemsmith.media.prepared import Prepared
from gemsmith.runtime.protocol import Soft

MAX_BYTES = 256 << 20  # pictures of 280 tokens: some 150 of E2B's, some 40 of 31B's


class KeptSoft:
    """Encodes, or remembers. Threads may share it; two that ask for the same at once may both encode."""

    def __init__(self, encode: Callable[[Prepared], Soft], row_bytes: int, max_bytes: int = MAX_BYTES):
        """`row_bytes` is what one soft token takes."""
        self._encode, self._row_bytes, self._max_bytes = encode, row_bytes, max_bytes
        self._kept: OrderedDict[bytes, Soft] = OrderedDict()
        self._lock = Lock()
        self.nbytes = 0

    def __call__(self, media: Prepared) -> Soft:
        """The soft tokens of one picture, clip or sound."""
        digest = media.digest
        with self._lock:
            if (soft := self._kept.get(digest)) is not None:
                self._kept.move_to_end(digest)
                return soft
        soft = self._encode(media)
        with self._lock:
            self._keep(digest, soft)
        return soft

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.nbytes = 0

    def _keep(self, digest: bytes, soft: Soft) -> None:
        if digest in self._kept or self._size(soft) > self._max_bytes:
            return
        self._kept[digest] = soft
        self.nbytes += self._size(soft)
        while self.nbytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.nbytes -= self._size(oldest)

    def _size(self, soft: Soft) -> int:
        return len(soft) * self._row_bytes
