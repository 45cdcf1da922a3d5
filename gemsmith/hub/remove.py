"""Take a model out of Hugging Face's cache, and nothing else: no file that another snapshot shows, none elsewhere.

What is removed disappears from other programs' sight in one step (its ref, then its snapshot), so that a removal that
was cut short leaves files that nobody sees, and that the next one frees. Links are never followed: who put a part of
the cache elsewhere by a link is told so, and files whose names are no blobs' stay.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gemsmith.errors import DownloadError, ModelNotFoundError
from gemsmith.hub.cache import (
    COMMIT,
    RECORD,
    commit_of,
    files_of,
    matching_ggufs,
    read_record,
    refs_of,
    repo_folder,
    snapshots,
)
from gemsmith.hub.known import Wanted
from gemsmith.hub.places import cache_folder, shown
from gemsmith.hub.pull import telling_disk_errors
from gemsmith.hub.report import Report, Silent
from gemsmith.hub.store import STAGE, Store

BLOB = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})((\.[\w-]+)?\.incomplete)?")


@dataclass(frozen=True)
class Removal:
    """What goes: the snapshots of these commits, the files that nothing else shows, all that was only begun."""

    wanted: Wanted
    commits: tuple[str, ...]
    files: tuple[Path, ...]
    nbytes: int
    begun: bool


def removal(wanted: Wanted) -> Removal:
    """What removing a model would take. ModelNotFoundError where nothing of it is here, and DownloadError where what is
    here cannot be removed: it is elsewhere by a link, or a part was asked for (a quantisation) and there are others.
    """
    folder = repo_folder(wanted.repo)
    _refuse_links(folder)
    everything = snapshots(folder)
    commits = everything
    if wanted.revision is not None:
        commits = tuple(commit for commit in everything if commit == commit_of(folder, wanted.revision))
    record = read_record(folder)
    begun = record is not None and wanted.revision in (None, record["commit"], record.get("revision"))
    kept = {blob for commit in everything if commit not in commits for blob in _blobs(folder, commit)}
    if record is not None and not begun:
        kept |= {file["sum"] for file in record["files"]}
    files = tuple(sorted(file for file in _all_blobs(folder) if _whole(file) not in kept))
    if wanted.quant is not None:
        names = {file.name for commit in commits for file in files_of(folder / "snapshots" / commit)}
        names |= {str(file.get("name")) for file in record["files"]} if record is not None and begun else set()
        _refuse_others(wanted, names)
    if not commits and not begun and not (wanted.revision is None and files):
        raise ModelNotFoundError(f"nothing of {wanted} is in {shown(cache_folder())}; gemsmith list shows what is here")
    nbytes = sum(file.lstat().st_size for file in files)
    nbytes += sum(_own_bytes(folder / "snapshots" / commit) for commit in commits)
    return Removal(wanted, commits, files, nbytes, begun)


def remove(plan: Removal, report: Report | None = None) -> None:
    """Do it; what came into use since `plan` was made stays."""
    store = Store(plan.wanted.repo, cache_folder())
    with telling_disk_errors(store.cache), store.locked(report or Silent()):
        now = removal(plan.wanted)
        if plan.begun:
            (store.folder / RECORD).unlink(missing_ok=True)
        for name, at in refs_of(store.folder).items():
            if at in plan.commits:
                (store.refs / name).unlink(missing_ok=True)
        for commit in plan.commits:
            _remove_snapshot(store, commit)
        for file in set(plan.files) & set(now.files):
            file.unlink(missing_ok=True)
        if not snapshots(store.folder) and not _all_blobs(store.folder):
            _remove_empty(store)


def _refuse_links(folder: Path) -> None:
    """Raise where a model is elsewhere: what is there is not ours to remove."""
    for path in (folder, *(folder / name for name in ("blobs", "snapshots", "refs"))):
        if path.is_symlink():
            raise DownloadError(
                f"{shown(path)} is a link to another folder, and gemsmith removes only what is in the cache itself;"
                " remove the link, and what it leads to, yourself"
            )


def _refuse_others(wanted: Wanted, names: set[str]) -> None:
    """Raise unless one quantisation is all that is here: a repository goes as a whole."""
    weights = sorted(n for n in names if n.endswith((".gguf", ".safetensors")) and "mmproj" not in n.lower())
    asked = matching_ggufs(weights, wanted.quant or "")
    if not asked:
        raise ModelNotFoundError(f"nothing of {wanted} is in {shown(cache_folder())}; gemsmith list shows what is here")
    if others := [ascii(name)[1:-1] for name in weights if name not in asked]:
        raise DownloadError(
            f"{wanted.repo} has more here than {wanted.quant} ({', '.join(others[:4])}), and gemsmith removes a"
            f" repository as a whole; nothing was removed. To remove all of it: gemsmith rm {wanted.repo}"
        )


def _remove_empty(store: Store) -> None:
    """The folders of a repository of which nothing is left; one with a file that somebody else put there stays."""
    for name, at in refs_of(store.folder).items():
        if COMMIT.fullmatch(at):
            (store.refs / name).unlink(missing_ok=True)
    shutil.rmtree(store.folder / ".no_exist", ignore_errors=True)  # huggingface_hub's; enters no links
    for place, _, _ in os.walk(store.folder, topdown=False):
        with suppress(OSError):  # not empty
            os.rmdir(place)


def _remove_snapshot(store: Store, commit: str) -> None:
    """Out of sight in one step, then off the disk."""
    assert COMMIT.fullmatch(commit)
    gone = store.folder / f"{STAGE}removed-{commit}"
    try:
        os.rename(store.snapshots / commit, gone)
    except FileNotFoundError:
        return
    if gone.is_symlink():
        gone.unlink()
    else:
        shutil.rmtree(gone)


def _blobs(folder: Path, commit: str) -> set[str]:
    """The names of blobs that a snapshot's links lead to, not followed any further."""
    links = [path for path in (folder / "snapshots" / commit).glob("**/*") if path.is_symlink()]
    return {os.path.basename(os.readlink(link)) for link in links}


def _all_blobs(folder: Path) -> list[Path]:
    """All blobs, whole or begun; nothing else that may lie there."""
    blobs = folder / "blobs"
    if blobs.is_symlink():
        return []
    try:
        return [file for file in blobs.iterdir() if BLOB.fullmatch(file.name) and (file.is_symlink() or file.is_file())]
    except OSError:
        return []


def _whole(file: Path) -> str:
    """The name of the blob that a begun one is to become."""
    return file.name.partition(".")[0]


def _own_bytes(snapshot: Path) -> int:
    """Bytes that a snapshot holds itself, where the file system has no links."""
    if snapshot.is_symlink():
        return 0
    return sum(
        file.stat().st_size for file in files_of(snapshot) if not file.is_symlink() and file.stat().st_nlink == 1
    )
