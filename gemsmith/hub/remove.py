"""Take a model out of Hugging Face's cache, and nothing else: no file that another snapshot shows, none elsewhere.

What is removed disappears from other programs' sight in one step (its ref, then its snapshot), so that a removal that
was cut short leaves files that nobody sees, and that the next one frees.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from gemsmith.errors import ModelNotFoundError
from gemsmith.hub.cache import COMMIT, RECORD, commit_of, files_of, read_record, refs_of, repo_folder, snapshots
from gemsmith.hub.known import Wanted
from gemsmith.hub.places import cache_folder, shown
from gemsmith.hub.pull import telling_disk_errors
from gemsmith.hub.report import Report, Silent
from gemsmith.hub.store import STAGE, Store


@dataclass(frozen=True)
class Removal:
    """What goes: the snapshots of these commits, the files that nothing else shows, all that was only begun."""

    wanted: Wanted
    commits: tuple[str, ...]
    files: tuple[Path, ...]
    nbytes: int
    begun: bool


def removal(wanted: Wanted) -> Removal:
    """What removing a model would take; ModelNotFoundError where nothing of it is here."""
    folder = repo_folder(wanted.repo)
    everything = snapshots(folder)
    commits = everything
    if wanted.revision is not None:
        commits = tuple(commit for commit in everything if commit == commit_of(folder, wanted.revision))
    record = read_record(folder)
    begun = record is not None and wanted.revision in (None, record["commit"], record.get("revision"))
    kept = {blob for commit in everything if commit not in commits for blob in _blobs(folder, commit)}
    if record is not None and not begun:
        kept |= {folder / "blobs" / file["sum"] for file in record["files"]}
    files = tuple(sorted(file for file in _all_blobs(folder) if _whole(file) not in kept))
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
            shutil.rmtree(store.folder, ignore_errors=True)


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


def _blobs(folder: Path, commit: str) -> set[Path]:
    """Blobs that a snapshot's links lead to, not followed any further."""
    links = [path for path in (folder / "snapshots" / commit).glob("**/*") if path.is_symlink()]
    return {Path(os.path.normpath(link.parent / os.readlink(link))) for link in links}


def _all_blobs(folder: Path) -> list[Path]:
    """Everything in the blobs folder, whole or begun."""
    try:
        return [file for file in (folder / "blobs").iterdir() if file.is_symlink() or file.is_file()]
    except OSError:
        return []


def _whole(file: Path) -> Path:
    """The blob that a begun one is to become."""
    return file.with_name(file.name.partition(".")[0])


def _own_bytes(snapshot: Path) -> int:
    """Bytes that a snapshot holds itself, where the file system has no links."""
    return sum(
        file.stat().st_size for file in files_of(snapshot) if not file.is_symlink() and file.stat().st_nlink == 1
    )
