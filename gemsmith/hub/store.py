"""A repository's place in Hugging Face's cache: where its files arrive, and how they appear.

Bytes arrive in `blobs/SUM.incomplete`, under the name and lock that huggingface_hub has for them. A blob takes its name
once its sum was right and the disk has it. A snapshot appears last, all of it in one step, so that no program ever sees
half a model; where another program has begun the snapshot, its config is linked last. Every step may be the last of a
killed process: what it leaves is invisible, and of use to the next.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gemsmith.errors import DownloadError
from gemsmith.files import sync_folder, umask
from gemsmith.hub.cache import COMMIT, CONFIG, INCOMPLETE, INDEX, RECORD, SINGLE, repo_folder, write_record
from gemsmith.hub.partial import Partial
from gemsmith.hub.report import Report
from gemsmith.hub.repository import RemoteFile, Repository

STAGE = ".gemsmith-"
LAST = (SINGLE, INDEX, CONFIG)  # with these a snapshot is taken for a model


class Store:
    """Where one repository lives in the cache."""

    def __init__(self, repo: str, cache: Path) -> None:
        self.repo, self.cache = repo, cache
        self.folder = repo_folder(repo, cache)
        self.blobs, self.snapshots, self.refs = (self.folder / name for name in ("blobs", "snapshots", "refs"))
        self._locks = cache / ".locks" / self.folder.name  # where huggingface_hub has them
        self.wrong: set[str] = set()  # blobs that are here, but whose content was found to have changed

    def blob(self, file: RemoteFile) -> Path:
        """Where a file's content belongs."""
        return self.blobs / file.sum

    def has(self, file: RemoteFile) -> bool:
        """Whether a file is here, with its whole size."""
        blob = self.blob(file)
        return file.sum not in self.wrong and blob.is_file() and blob.stat().st_size == file.size

    def arrived(self, file: RemoteFile) -> int:
        """Bytes of a file that need not be fetched."""
        if self.has(file):
            return file.size
        partial = self._partial(file)
        return min(partial.stat().st_size, file.size) if partial.is_file() else 0

    def is_published(self, repository: Repository, files: Sequence[RemoteFile]) -> bool:
        """Whether a snapshot shows all these files already."""
        snapshot = self.snapshots / repository.commit
        named = (repository.wanted.revision or "main") == repository.commit or self._ref(repository) is not None
        return named and all(self.has(file) and self._is_linked(snapshot / file.name, file) for file in files)

    @contextmanager
    def locked(self, report: Report) -> Iterator[None]:
        """Be the only gemsmith that fetches this repository; wait for another one."""
        with self._lock("gemsmith", report, f"another gemsmith is at work on {self.repo}; waiting for it"):
            self._make_folders()
            for left in self.folder.glob(f"{STAGE}*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield

    @contextmanager
    def arriving(self, file: RemoteFile, report: Report) -> Iterator[Partial | None]:
        """A file to fetch into; None where another program fetched it meanwhile. It becomes a blob at the end."""
        with self._lock(file.sum, report, f"another program is fetching {file.name}; waiting for it"):
            if self.has(file):
                yield None
                return
            with Partial(self._partial(file), file) as partial:
                yield partial
            os.replace(self._partial(file), self.blob(file))
            self.wrong.discard(file.sum)
            sync_folder(self.blobs)

    def record(self, repository: Repository, files: Sequence[RemoteFile]) -> None:
        """Write down what is being fetched, for `list` and `rm`."""
        entries = [{"name": file.name, "size": file.size, "sum": file.sum} for file in files]
        text = write_record(self.repo, repository.wanted.revision or "main", repository.commit, entries)
        with self._stage() as stage:
            (stage / RECORD).write_text(text, encoding="utf-8")
            os.replace(stage / RECORD, self.folder / RECORD)

    def publish(self, repository: Repository, files: Sequence[RemoteFile]) -> Path:
        """Make files that have arrived visible as a snapshot; return its folder."""
        snapshot = self.snapshots / repository.commit
        with self._stage() as stage:
            linked = stage / repository.commit
            for file in files:
                self._link(linked, file)
            if snapshot.exists():
                self._merge(linked, snapshot, files)
            else:
                os.rename(linked, snapshot)
            sync_folder(self.snapshots)
            if not COMMIT.fullmatch(revision := repository.wanted.revision or "main"):
                (self.refs / revision).parent.mkdir(parents=True, exist_ok=True)
                (stage / "ref").write_text(repository.commit)
                os.replace(stage / "ref", self.refs / revision)
        (self.folder / RECORD).unlink(missing_ok=True)
        return snapshot

    def _make_folders(self) -> None:
        """An empty repository; it appears at once, for without snapshots it is a broken one to huggingface_hub."""
        if not self.folder.exists():
            new = Path(tempfile.mkdtemp(dir=self._locks))
            (new / "snapshots").mkdir()
            new.chmod(0o777 & ~umask())
            new.rename(self.folder)
        self.snapshots.mkdir(exist_ok=True)
        self.blobs.mkdir(exist_ok=True)

    def _link(self, linked: Path, file: RemoteFile) -> None:
        """A link as it will be in `snapshots/COMMIT`: it points two folders up."""
        link = linked / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (2 + file.name.count("/"))
        try:
            os.symlink(f"{up}blobs/{file.sum}", link)
        except OSError:  # a file system without such links: a second name, or a copy
            try:
                os.link(self.blob(file), link)
            except OSError:
                shutil.copyfile(self.blob(file), link)

    def _merge(self, linked: Path, snapshot: Path, files: Sequence[RemoteFile]) -> None:
        """Put links into a snapshot that is there; last those with which it is taken for a model."""
        order = sorted(files, key=lambda f: LAST.index(f.name) if f.name in LAST else -1)
        for file in order:
            there = snapshot / file.name
            if not self._is_linked(there, file):
                there.parent.mkdir(parents=True, exist_ok=True)
                os.replace(linked / file.name, there)

    def _is_linked(self, link: Path, file: RemoteFile) -> bool:
        """Whether a snapshot has a file already: as a link, or as a copy where there can be none."""
        if not link.is_file():
            return False
        return os.path.samefile(link, self.blob(file)) or (not link.is_symlink() and link.stat().st_size == file.size)

    def _ref(self, repository: Repository) -> str | None:
        try:
            at = (self.refs / (repository.wanted.revision or "main")).read_text()
        except (OSError, UnicodeDecodeError):
            return None
        return at if at == repository.commit else None

    def _partial(self, file: RemoteFile) -> Path:
        return self.blobs / f"{file.sum}{INCOMPLETE}"

    @contextmanager
    def _stage(self) -> Iterator[Path]:
        """A folder beside the visible ones, for what must appear in one step."""
        stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=self.folder))
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    @contextmanager
    def _lock(self, name: str, report: Report, busy: str) -> Iterator[None]:
        """huggingface_hub's lock of that name; `busy` is said where it has to be waited for."""
        from filelock import FileLock, Timeout

        self._locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._locks / f"{name}.lock")
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                report.note(busy)
                lock.acquire(poll_interval=0.2)
        except NotImplementedError as cause:
            raise DownloadError(
                f"the file system of {self.cache} cannot lock files, so two programs could spoil each other's; set"
                " HF_HUB_CACHE to a folder on another disk"
            ) from cause
        try:
            yield
        finally:
            lock.release()
