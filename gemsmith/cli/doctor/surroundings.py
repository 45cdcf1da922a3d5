"""What surrounds the program: where models go, which are here, and the variables that change what it does.

No secret is shown: neither a token's value nor what a proxy's address carries before its "@".
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemsmith.cli.doctor.finding import Finding, size
from gemsmith.cli.settings.environment import without_secrets

SHOWN = re.compile(
    r"(?:(?:HTTPS?|ALL|NO|FTP)_PROXY|HF_\w+|HUGGING_?FACE_\w+|GEMSMITH_\w+|CUDA_VISIBLE_DEVICES|PYTORCH_\w+|TORCH_\w+"
    r"|OMP_\w+|MKL_\w+|ROCR_VISIBLE_DEVICES|HIP_VISIBLE_DEVICES|REQUESTS_CA_BUNDLE|SSL_CERT_FILE)",
    re.IGNORECASE,
)
SECRET = re.compile(r"token|secret|password|passwd|key|auth|credential", re.IGNORECASE)
MAX_VALUE = 60
LITTLE_ROOM = 1 << 30


def look_around(facts: dict[str, Any]) -> Iterator[Finding]:
    """Models and variables."""
    yield from _models(facts)
    yield from _packs(facts)
    yield from _variables(facts, os.environ)


def shown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that matter, with what is secret left out."""
    found = {}
    for name in sorted(environment):
        if not SHOWN.fullmatch(name):
            continue
        value = environment[name]
        if SECRET.search(name):
            value = "(set, not shown)" if value else "(empty)"
        else:
            value = without_secrets(value)
        found[name] = value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 3]}..."
    return found


def folder_problem(folder: Path) -> str:
    """Why nothing can be written below `folder`; empty where it can. Nothing is created to find out."""
    if "~" in folder.parts:
        return "there is no home folder, and no HF_HOME instead"
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is not a folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written to"
    return ""


def _models(facts: dict[str, Any]) -> Iterator[Finding]:
    """Where they go, and which are here."""
    from gemsmith.hub.cache import cached_models
    from gemsmith.hub.names import available_names
    from gemsmith.hub.places import cache_folder, shown

    folder = cache_folder()
    facts["models_folder"], facts["embedded_models"] = str(folder), list(available_names())
    if problem := folder_problem(folder):
        text = f"nothing can be downloaded: {problem}"
        yield Finding("wrong", "models", text, "export HF_HOME=FOLDER   (one that you may write to)")
    else:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        facts["disk_free"] = free = shutil.disk_usage(there).free
        text = f"downloads go to {shown(folder)}, {size(free)} free"
        if free < LITTLE_ROOM:
            yield Finding("note", "models", f"{text}: too little for any released size")
        else:
            yield Finding("ok", "models", text)
    fetched = [] if problem else cached_models()
    begun = [each.repo for each in fetched if not each.complete]
    facts["downloaded_models"], facts["unfinished_models"] = len(fetched) - len(begun), begun
    names = available_names()
    held = size(sum(each.nbytes for each in fetched))
    text = f"{len(names)} in the package ({', '.join(names)}), {len(fetched) - len(begun)} downloaded ({held})"
    yield Finding("ok", "here", text)
    for repo in begun:
        yield Finding("note", "unfinished", f"the download of {repo} broke off", f"gemsmith pull {repo}")


def _packs(facts: dict[str, Any]) -> Iterator[Finding]:
    """Packs that were made of GGUF files and checkpoints at their first use."""
    from gemsmith.engine.packing import kept_packs, packs_folder
    from gemsmith.hub.places import shown

    found, folder = kept_packs(), packs_folder()
    facts["kept_packs"] = {path.name: nbytes for path, nbytes in found.items()}
    if found and folder is not None:
        count = f"{len(found)} pack{'s' * (len(found) > 1)} made at first use"
        text = f"{count}, {size(sum(found.values()))} in {shown(folder)}; may be deleted at any time"
        yield Finding("ok", "packs", text)


def _variables(facts: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Finding]:
    found = shown_variables(environment)
    facts["variables"] = found
    for name, value in found.items():
        yield Finding("ok", "variable", f"{name}={value}")
    if not found:
        yield Finding("ok", "variables", "none set that change what gemsmith does")
