"""One file from the Hub to a partial file on disk, whole and with the right sum, or an error that says why not.

Goes on from the bytes that are there. Whatever a server does wrong (cuts, stalls, other bytes than asked for) is either
made good by another attempt or caught by the sum: a file with a wrong one is thrown away, fetched once more from
nothing, and then given up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemsmith.errors import DownloadError
from gemsmith.hub.connection import Connection, Passing, is_number
from gemsmith.hub.known import Wanted
from gemsmith.hub.partial import Partial
from gemsmith.hub.report import Report, of, size


@dataclass(frozen=True)
class Transfer:
    """How to get one file: from where, and whom to tell."""

    connection: Connection
    wanted: Wanted
    commit: str
    report: Report
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def fetch(self, partial: Partial) -> None:
        """Bring `partial` to the whole file, and check its sum."""
        file = partial.file
        for last in (False, True):
            self._fill(partial)
            if (found := partial.sum) == file.sum:
                partial.sync()
                return
            self.report.move(file.name, -partial.clear())
            if last:
                raise DownloadError(
                    f"{file.name} of {self.wanted.repo} came with wrong bytes twice and was thrown away: its sum should"
                    f" be {file.sum} and was {found}. Something between here and {self.connection.host} changes files;"
                    " try another network"
                )
            self.report.note(f"{file.name} came with wrong bytes (sum {found[:12]}…); fetching it again")

    def _fill(self, partial: Partial) -> None:
        """Fetch what is missing. Gives up after some attempts in a row that bring next to nothing."""
        patience, file = self.connection.patience, partial.file
        in_vain, before = 0, partial.size
        while partial.missing:
            try:
                self._attempt(partial)
                trouble = Passing(f"{self.connection.host} ended {file.name} early")
            except Passing as error:
                trouble = error
            if not partial.missing:
                return
            if partial.size - before >= max(1, min(1 << 20, file.size // 100)):
                in_vain, before = 0, partial.size
            in_vain += 1
            if in_vain >= patience.attempts:
                raise DownloadError(
                    f"{trouble}, in {in_vain} attempts that brought next to nothing; {of(partial.size, file.size)} of"
                    f" {file.name} are kept, and the same command goes on from there"
                )
            self.report.note(f"{trouble}; going on at {size(partial.size)} (attempt {in_vain + 1})")
            self.sleep(max(trouble.pause_s, patience.pause(in_vain)))

    def _attempt(self, partial: Partial) -> None:
        """One request, for the bytes that are missing."""
        file, start = partial.file, partial.size
        url = self.connection.file_url(self.wanted.repo, self.commit, file.name)
        with self.connection.get(url, self.wanted, start) as response:
            skip = self._where(response, partial)
            since, came = self.clock(), 0
            for piece in response.iter_bytes():
                came += len(piece)
                if skip:
                    skip, piece = max(0, skip - len(piece)), piece[skip:]
                if written := partial.write(piece):
                    self.report.move(file.name, written)
                if not partial.missing:
                    return
                if self.clock() - since >= self.connection.patience.window_s:
                    if came < self.connection.patience.least_bytes:
                        raise Passing(f"{self.connection.host} sent only {came} bytes in {self.clock() - since:.0f} s")
                    since, came = self.clock(), 0

    def _where(self, response: Any, partial: Partial) -> int:
        """How many of the bytes that come are here already; Passing where they are not those of the file."""
        file, headers = partial.file, response.headers
        packed = headers.get("Content-Encoding", "identity") != "identity"
        for each in (*response.history, response):
            linked = each.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
            if re.fullmatch("[0-9a-f]{64}", linked) and len(file.sum) == 64 and linked != file.sum:
                raise Passing(f"{self.connection.host} has another {file.name} than it lists (sum {linked[:12]}…)")
        if response.status_code == 200:  # from the beginning, whether or not that was asked for
            length = headers.get("Content-Length", "")
            if not packed and is_number(length) and int(length) != file.size:
                raise Passing(f"{file.name} has {length} bytes instead of the {file.size} that the Hub lists")
            return partial.size
        span = re.fullmatch(r"bytes (\d{1,19})-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if span is None or int(span[1]) != partial.size or packed or span[2] not in ("*", str(file.size)):
            self.report.move(file.name, -partial.clear())  # so that the next attempt asks for all of it
            raise Passing(f"{self.connection.host} sent another part of {file.name} than was asked for")
        return 0
