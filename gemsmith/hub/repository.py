"""What a repository of the Hub holds, and which of it gemsmith needs.

A listing comes from a stranger: names that could leave the cache, impossible sizes and sums are errors here, so that
everything after can trust them. Pickles and programs are never chosen, whatever is asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from gemsmith.errors import DownloadError
from gemsmith.hub.cache import COMMIT, CONFIG, INDEX, SINGLE, matching_ggufs
from gemsmith.hub.connection import Connection, Passing
from gemsmith.hub.known import Wanted, is_read
from gemsmith.hub.report import Report

NEVER = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".npz", ".h5", ".msgpack", ".exe", ".sh", ".so")
BESIDE = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template*",
    "*processor_config.json",
)
MAX_FILES = 10_000
LOOKS = 3  # times a list of files is asked for: nothing was begun yet, so a person can as well do it later


@dataclass(frozen=True)
class RemoteFile:
    """A file of a commit. `sum` is its SHA-256 where the Hub keeps it apart (LFS), else git's SHA-1 of it."""

    name: str
    size: int
    sum: str

    @property
    def is_weights(self) -> bool:
        """Whether it is of those that have to fit into memory."""
        return self.name.endswith((".safetensors", ".gguf"))


@dataclass(frozen=True)
class Repository:
    """A repository at one commit."""

    wanted: Wanted
    commit: str
    files: tuple[RemoteFile, ...]


def look_up(
    wanted: Wanted, connection: Connection, report: Report, sleep: Callable[[float], None] = time.sleep
) -> Repository:
    """Ask the Hub what is there; a few times where it has passing trouble."""
    for attempt in range(1, LOOKS + 1):
        try:
            return read_listing(connection.listing(wanted), wanted)
        except Passing as trouble:
            if attempt == LOOKS:
                raise DownloadError(
                    f"{trouble}, in {LOOKS} attempts; is this machine online? Nothing was fetched"
                ) from trouble
            report.note(f"{trouble}; asking again")
            sleep(max(trouble.pause_s, connection.patience.pause(attempt)))
    raise AssertionError("a loop of at least one attempt")


def read_listing(listing: Any, wanted: Wanted) -> Repository:
    """The Hub's JSON as values; DownloadError where it cannot be true."""
    try:
        commit = listing["sha"]
        entries = [
            (entry["rfilename"], entry["size"], (entry.get("lfs") or {}).get("sha256") or entry["blobId"])
            for entry in _list(listing)
        ]
    except (KeyError, TypeError, AttributeError):
        raise _untrue(wanted, "without the commit, sizes or sums that the Hub gives") from None
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise _untrue(wanted, f"with the commit {ascii(commit)[:60]}")
    for name, size, digest in entries:
        if not isinstance(name, str) or not is_plain(name):
            raise _untrue(wanted, f"with a file {ascii(name)[:80]}")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**60:
            raise _untrue(wanted, f"with a size of {ascii(size)[:40]} for {name}")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", digest):
            raise _untrue(wanted, f"with a sum of {ascii(digest)[:80]} for {name}")
    return Repository(wanted, commit, tuple(RemoteFile(*entry) for entry in entries))


def is_plain(name: str) -> bool:
    """Whether a file's name stays inside its folder on every system."""
    parts = PurePosixPath(name).parts
    return (
        0 < len(name) <= 500
        and name.isprintable()
        and not set(name) & set('\\:*?"<>|')
        and "/".join(parts) == name
        and not any(part in ("..", ".", "/") or len(part.encode()) > 200 for part in parts)
    )


def chosen(repository: Repository, include: Sequence[str] = ()) -> tuple[RemoteFile, ...]:
    """The files to fetch, config first (it tells whether to go on), then small to large."""
    safe = [f for f in repository.files if not f.name.lower().endswith(NEVER) and not f.name.startswith(".")]
    if repository.wanted.quant is not None:
        files = _ggufs(repository, [f for f in safe if "/" not in f.name])
    elif include:
        files = [f for f in safe if any(fnmatch(f.name, pattern) for pattern in include)]
    else:
        files = _checkpoint(repository, [f for f in safe if "/" not in f.name])
    if not files:
        raise DownloadError(f"no file of {repository.wanted.repo} matches {', '.join(include)}")
    return tuple(sorted(files, key=lambda f: (f.name != CONFIG, f.is_weights, f.name)))


def _checkpoint(repository: Repository, files: list[RemoteFile]) -> list[RemoteFile]:
    """What `load` reads: config, tokenizer, templates, and the weights as safetensors."""
    names = {file.name for file in files}
    weights = SINGLE if SINGLE in names else "model*.safetensors" if INDEX in names else ""
    if CONFIG not in names or not weights:
        found = _what_is_there(repository)
        raise DownloadError(f"{repository.wanted.repo} is no checkpoint that gemsmith can load: {found}")
    patterns = (CONFIG, *BESIDE, weights, *((INDEX,) if weights != SINGLE else ()))
    return [file for file in files if any(fnmatch(file.name, pattern) for pattern in patterns)]


def _ggufs(repository: Repository, files: list[RemoteFile]) -> list[RemoteFile]:
    quant, repo = repository.wanted.quant, repository.wanted.repo
    matching = matching_ggufs([file.name for file in files], quant or "")
    if not matching:
        raise DownloadError(f"{repo} has no .gguf file for {quant!r}: {_what_is_there(repository)}")
    if len(matching) > 1 and not all(re.search(r"-\d+-of-\d+\.gguf$", name) for name in matching):
        raise DownloadError(f"{repo} has more than one file for {quant!r}: {', '.join(matching[:8])}; name it in full")
    return [file for file in files if file.name in matching]


def _what_is_there(repository: Repository) -> str:
    """What one could ask for instead."""
    names = [file.name for file in repository.files]
    ggufs = [name.removesuffix(".gguf") for name in names if name.endswith(".gguf") and "mmproj" not in name]
    if ggufs:
        quants = sorted({re.split(r"[-.]", re.sub(r"-\d+-of-\d+$", "", name))[-1] for name in ggufs})
        one = next(filter(is_read, quants), quants[0])
        return f"it has GGUF files, {', '.join(quants[:12])}; ask for one as {repository.wanted.repo}:{one}"
    if any(name.endswith(NEVER) and not name.endswith(".py") for name in names):
        return "its weights are pickles, which can run any code when read; ask its authors for safetensors"
    return "it needs config.json, and model.safetensors or shards with their index"


def _list(listing: Any) -> list[Any]:
    files = listing["siblings"]
    if not isinstance(files, list) or len(files) > MAX_FILES:
        raise TypeError
    return files


def _untrue(wanted: Wanted, what: str) -> DownloadError:
    return DownloadError(
        f"the list of files of {wanted.repo} came {what}; nothing was fetched. Is there a proxy in between, or is"
        " HF_ENDPOINT wrong?"
    )
