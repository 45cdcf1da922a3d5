"""What is in Hugging Face's cache: which models, whole or in part. Only looks.

The layout is huggingface_hub's, shared with every program that uses it:

    models--google--gemma-4-E2B-it/
        blobs/SUM              a file's content, named by its sum; SUM.incomplete is one that is being fetched
        snapshots/COMMIT/NAME  a link to the blob that has this name in that commit
        refs/main              the commit that a branch stood at
        .gemsmith.json         ours: what a pull that has not ended yet wants
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemsmith.config.document import parse_document
from gemsmith.errors import GemsmithError, ModelFileError
from gemsmith.files import read_bytes
from gemsmith.hub.known import Wanted
from gemsmith.hub.places import cache_folder

RECORD = ".gemsmith.json"
INCOMPLETE = ".incomplete"
CONFIG, SINGLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MAX_JSON_BYTES = 4 << 20
MAX_REF_BYTES = 100
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Cached:
    """A model in the cache; `path` is its snapshot, None where nothing of it can be seen yet."""

    repo: str
    revision: str  # a commit
    refs: tuple[str, ...]
    path: Path | None
    complete: bool
    nbytes: int
    total: int  # the bytes a whole one has; 0 where nobody knows
    changed: float  # seconds since the epoch


def repo_folder(repo: str, cache: Path | None = None) -> Path:
    """Where a repository's files are, whether or not there are any."""
    return (cache or cache_folder()) / f"models--{repo.replace('/', '--')}"


def find(wanted: Wanted) -> Path | None:
    """The whole model on this machine that a name means: a snapshot folder, or a .gguf file; None if there is none.

    Without a revision the one that `main` stood at, or else the newest that is whole.
    """
    folder = repo_folder(wanted.repo)
    commits = [commit] if (commit := commit_of(folder, wanted.revision or "main")) else []
    if wanted.revision is None:
        commits += sorted(snapshots(folder), key=lambda c: -_changed(folder / "snapshots" / c))
    for each in commits:
        snapshot = folder / "snapshots" / each
        if wanted.quant is not None:
            if files := matching_ggufs([file.name for file in snapshot.glob("*.gguf")], wanted.quant):
                return snapshot / files[0]
        elif is_complete(snapshot):
            return snapshot
    return None


def cached_models() -> tuple[Cached, ...]:
    """The Gemma 4 models of the cache, whole ones and begun ones, by name."""
    found = []
    for folder in sorted(cache_folder().glob("models--*--*")):
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        refs = refs_of(folder)
        begun = _begun(folder, repo)
        for commit in snapshots(folder):
            snapshot = folder / "snapshots" / commit
            if (begun and begun.revision == commit) or not _is_gemma(snapshot, repo):
                continue
            names = tuple(sorted(name for name, at in refs.items() if at == commit))
            with suppress(FileNotFoundError):  # it is being removed
                whole = is_complete(snapshot) or any(snapshot.glob("*.gguf"))
                nbytes = sum(file.stat().st_size for file in files_of(snapshot))
                found.append(Cached(repo, commit, names, snapshot, whole, nbytes, 0, _changed(snapshot)))
        found += [begun] if begun else []
    return tuple(found)


def is_complete(snapshot: Path) -> bool:
    """Whether a snapshot, whoever made it, has a config and every file of weights that it should have."""
    if not (snapshot / CONFIG).is_file():
        return False
    if (snapshot / SINGLE).is_file():
        return True
    weight_map = _json(snapshot / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        return False
    return all(isinstance(name, str) and (snapshot / name).is_file() for name in set(weight_map.values()))


def matching_ggufs(names: list[str], quant: str) -> list[str]:
    """The .gguf files of that quantisation: one, or the parts of one; never the towers (mmproj)."""
    mark = re.compile(rf"(?:^|[-._]){re.escape(quant)}(?:-\d+-of-\d+)?\.gguf", re.IGNORECASE)
    return sorted(name for name in names if mark.search(name) and "mmproj" not in name.lower())


def snapshots(folder: Path) -> tuple[str, ...]:
    """The commits of which something can be seen."""
    try:
        entries = list((folder / "snapshots").iterdir())
    except OSError:
        return ()
    return tuple(sorted(entry.name for entry in entries if COMMIT.fullmatch(entry.name) and entry.is_dir()))


def refs_of(folder: Path) -> dict[str, str]:
    """Branches and tags, and the commits they stood at when they were last asked for."""
    refs, found = folder / "refs", {}
    for place, _, names in os.walk(refs):  # enters no links
        for file in (Path(place) / name for name in names):
            with suppress(GemsmithError):  # far too long for a commit, or no file at all
                if not file.is_symlink():
                    text = read_bytes(file, MAX_REF_BYTES, ModelFileError).decode(errors="replace")
                    found[file.relative_to(refs).as_posix()] = text.strip()
    return found


def commit_of(folder: Path, revision: str) -> str | None:
    """The commit that a branch, a tag, or the beginning of a commit means here."""
    if at := refs_of(folder).get(revision):
        return at if COMMIT.fullmatch(at) else None
    starting = [commit for commit in snapshots(folder) if len(revision) >= 6 and commit.startswith(revision.lower())]
    return starting[0] if len(starting) == 1 else None


def files_of(snapshot: Path) -> Iterator[Path]:
    """Files of a snapshot whose content is there."""
    return (file for file in snapshot.glob("**/*") if file.is_file())


def read_record(folder: Path) -> dict[str, Any] | None:
    """What a pull that has not ended wants: repo, revision, commit, and files with size and sum."""
    record = _json(folder / RECORD)
    files = record.get("files")
    if not isinstance(files, list) or not all(
        isinstance(f, dict) and isinstance(f.get("size"), int) and re.fullmatch("[0-9a-f]{40,64}", str(f.get("sum")))
        for f in files
    ):
        return None
    return record if COMMIT.fullmatch(str(record.get("commit"))) else None


def write_record(repo: str, revision: str, commit: str, files: list[dict[str, Any]]) -> str:
    """The text of such a record."""
    return json.dumps({"repo": repo, "revision": revision, "commit": commit, "files": files}, indent=2) + "\n"


def _begun(folder: Path, repo: str) -> Cached | None:
    """The model that a pull which has not ended is fetching."""
    record = read_record(folder)
    if record is None:
        return None
    have = 0
    for file in record["files"]:
        blob = folder / "blobs" / file["sum"]
        with suppress(FileNotFoundError):  # it takes its name, or is being removed
            have += next((p.stat().st_size for p in (blob, blob.with_name(blob.name + INCOMPLETE)) if p.is_file()), 0)
    total = sum(file["size"] for file in record["files"])
    changed = max(map(_changed, (folder / RECORD, folder / "blobs")))
    return Cached(repo, record["commit"], (str(record.get("revision")),), None, False, have, total, changed)


def _is_gemma(snapshot: Path, repo: str) -> bool:
    if str(_json(snapshot / CONFIG).get("model_type")).startswith("gemma4"):
        return True
    names = [repo, *(file.name for file in snapshot.glob("*.gguf"))]
    return len(names) > 1 and any(re.search(r"gemma-?4", name, re.IGNORECASE) for name in names)


def _json(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none that can be read."""
    try:
        return parse_document(read_bytes(file, MAX_JSON_BYTES, ModelFileError), str(file))
    except GemsmithError:
        return {}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
