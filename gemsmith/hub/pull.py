"""Fetch a model from the Hub into Hugging Face's cache: look up, check that it fits, fetch, check, make visible."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gemsmith.config import ModelConfig
from gemsmith.config.document import read_document
from gemsmith.errors import ConfigError, DownloadError
from gemsmith.hub.cache import CONFIG, is_complete
from gemsmith.hub.connection import Connection
from gemsmith.hub.known import Wanted
from gemsmith.hub.partial import sum_of
from gemsmith.hub.places import cache_folder, shown
from gemsmith.hub.report import Plan, Report, Silent, size
from gemsmith.hub.repository import RemoteFile, Repository, chosen, look_up
from gemsmith.hub.store import Store
from gemsmith.hub.transfer import Transfer

SPARE_BYTES = 64 << 20  # a disk filled to its last byte stops other programs
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Terms:
    """What a pull may do. `memory` in bytes is what the machine has; None asks nobody."""

    memory: int | None = None
    force: bool = False  # fetch also what does not fit into memory, or is no Gemma 4
    verify: bool = False  # read again what is here already
    include: tuple[str, ...] = ()
    connection: Connection = field(default_factory=Connection)


def pull(wanted: Wanted, terms: Terms, report: Report | None = None) -> Path:
    """Fetch what `wanted` names, and return the snapshot's folder, or the (first) .gguf file.

    Raises DownloadError; what has arrived until then is kept, and the next pull goes on from there. So it is after
    Ctrl-C, a crash or a power cut.
    """
    report = report or Silent()
    repository = look_up(wanted, terms.connection, report)
    files = chosen(repository, terms.include)
    store = Store(wanted.repo, cache_folder())
    with telling_disk_errors(store.cache):
        report.plan(plan := _plan(store, repository, files))
        check_fits(plan, files, terms)
        if not terms.verify and store.is_published(repository, files):  # also where the cache cannot be written
            snapshot = store.snapshots / repository.commit
        else:
            with store.locked(report):
                snapshot = _pull(store, plan, repository, files, terms, report)
    if wanted.quant is None and not terms.include and not is_complete(snapshot):
        raise DownloadError(f"{wanted.repo} lacks files that its own index names; tell its authors")
    report.done(plan)
    return snapshot / files[0].name if wanted.quant else snapshot


def _pull(
    store: Store, told: Plan, repository: Repository, files: Sequence[RemoteFile], terms: Terms, report: Report
) -> Path:
    """The same, being the only one who does it."""
    if terms.verify:
        _find_wrong(store, files, report)
    if (plan := _plan(store, repository, files)) != told:  # another one was at work, or files had changed
        report.plan(plan)
        check_fits(plan, files, terms)
    store.record(repository, files)
    transfer = Transfer(terms.connection, repository.wanted, repository.commit, report)
    for file in files:
        if not store.has(file):
            with store.arriving(file, report) as partial:
                if partial is not None:
                    transfer.fetch(partial)
        if file.name == CONFIG and not terms.force and not terms.include:
            _check_config(store.blob(file), repository.wanted.repo)
    return store.publish(repository, files)


def check_fits(plan: Plan, files: Sequence[RemoteFile], terms: Terms) -> None:
    """Refuse, with numbers, what the disk or the memory has no room for."""
    free = shutil.disk_usage(_existing(plan.cache)).free
    if plan.missing and plan.missing + SPARE_BYTES > free:
        raise DownloadError(
            f"{plan.repo} needs {size(plan.missing)} more in {shown(plan.cache)}, where only {size(free)} are free:"
            f" free {size(plan.missing + SPARE_BYTES - free)} there, or set HF_HUB_CACHE to a folder on another disk"
        )
    weights = sum(file.size for file in files if file.is_weights)
    if terms.memory is not None and weights > terms.memory and not terms.force:
        raise DownloadError(
            f"the weights of {plan.repo} are {size(weights)}, and this machine has {size(terms.memory)} of memory: it"
            " could not run them. Choose a smaller model (e2b is the smallest), or fetch it anyway with --force"
        )


@contextmanager
def telling_disk_errors(cache: Path) -> Iterator[None]:
    """A full or read-only disk in a person's words."""
    try:
        yield
    except OSError as error:
        where = shown(cache)
        if error.errno in FULL:
            free = size(shutil.disk_usage(_existing(cache)).free)
            raise DownloadError(
                f"the disk is full, or a limit on it is reached ({error.strerror}; {free} are free in {where}); what"
                " has arrived is kept: make room and give the same command again, or remove models with gemsmith rm"
            ) from error
        raise DownloadError(
            f"cannot write into {where}: {error.strerror or error}; set HF_HUB_CACHE to a folder that you may write to"
        ) from error


def _plan(store: Store, repository: Repository, files: Sequence[RemoteFile]) -> Plan:
    once = {file.sum: file for file in files}.values()
    return Plan(
        repo=str(repository.wanted),
        revision=repository.wanted.revision or "main",
        commit=repository.commit,
        num_files=len(files),
        nbytes=sum(file.size for file in once),
        here=sum(store.arrived(file) for file in once),
        cache=store.cache,
    )


def _find_wrong(store: Store, files: Sequence[RemoteFile], report: Report) -> None:
    """Read what is here; what has changed on the disk is to be replaced."""
    for file in files:
        if store.has(file) and (found := sum_of(store.blob(file), file)) != file.sum:
            report.note(f"{file.name} has wrong bytes here (sum {found[:12]}…); fetching it again")
            store.wrong.add(file.sum)


def _check_config(blob: Path, repo: str) -> None:
    """Stop before the weights where they would be of no use."""
    try:
        ModelConfig.from_json(read_document(blob))
    except ConfigError as error:
        reason = str(error).replace(str(blob), "config.json")
        raise DownloadError(f"gemsmith cannot run {repo}: {reason}. To fetch it anyway: --force") from error


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())
