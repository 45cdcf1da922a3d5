"""What the environment sets: GEMSMITH_* of our own, and a few variables that other programs heed too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gemsmith.cli.settings.claim import Claim
from gemsmith.cli.settings.files import Complain
from gemsmith.cli.settings.table import SETTINGS
from gemsmith.cli.settings.values import YES, from_text
from gemsmith.errors import SettingError

# variables that are no settings of the table, and what they are for; `show --config` lists those that are set
VARIABLES = {
    "GEMSMITH_HOME": "one folder for settings, conversations and history",
    "GEMSMITH_DEBUG": "1 shows the traceback of an error",
    "NO_COLOR": "not empty: no colour, where no flag or file asks for it",
    "FORCE_COLOR": "not empty: colour in a pipe too",
    "HF_HOME": "Hugging Face's folder, where model files are",
    "HF_HUB_CACHE": "Hugging Face's cache of models alone",
    "HF_HUB_OFFLINE": "1: make no connection",
    "HF_ENDPOINT": "another address for the hub",
    "HF_TOKEN": "who you are on the hub",
    "XDG_CONFIG_HOME": "the folder above the one with settings",
    "XDG_DATA_HOME": "the folder above the one with conversations",
    "XDG_STATE_HOME": "the folder above the one with history",
    "HTTP_PROXY": "the way out for downloads",
    "HTTPS_PROXY": "the way out for downloads",
    "OMP_NUM_THREADS": "processor threads of the libraries",
    "CUDA_VISIBLE_DEVICES": "which GPUs there are",
}
OURS = "GEMSMITH_"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # the hub's own library obeys them, whatever we say


def claims(environ: Mapping[str, str], complain: Complain) -> Iterator[Claim]:
    """What is set, strongest first; an empty variable sets nothing."""
    for name in OFFLINE:
        if environ.get(name, "").lower() in YES:
            yield Claim("offline", True, "environment", name)
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if not text:
            continue
        try:
            yield Claim(setting.key, from_text(setting, text), "environment", setting.variable)
        except SettingError as error:
            complain(SettingError(f"{setting.variable} {error}; correct it, or unset it"))


def weak_claims(environ: Mapping[str, str]) -> Iterator[Claim]:
    """What yields to files: no-color.org wants a person's own file to win over NO_COLOR."""
    for name, value in (("NO_COLOR", "never"), ("FORCE_COLOR", "always")):
        if environ.get(name, "") not in ("", "0" if name == "FORCE_COLOR" else ""):
            yield Claim("color", value, "environment", name)


def known_variables() -> tuple[str, ...]:
    """All names that mean something here."""
    return (*(setting.variable for setting in SETTINGS), *VARIABLES)


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """GEMSMITH_* that mean nothing, each with the nearest that does, or an empty text."""
    from difflib import get_close_matches

    ours = [name.removeprefix(OURS) for name in known_variables() if name.startswith(OURS)]
    strange = sorted(name.removeprefix(OURS) for name in environ if name.startswith(OURS))
    near = {name: get_close_matches(name, ours, n=1, cutoff=0.6) for name in strange if name not in ours}
    return {OURS + name: OURS + found[0] if found else "" for name, found in near.items()}


def shown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of VARIABLES that are set, fit to be shown: no token, no user and password of an address."""
    found = {name: environ[name] for name in VARIABLES if environ.get(name)}
    return {name: "(set, not shown)" if "TOKEN" in name else without_secrets(value) for name, value in found.items()}


def without_secrets(value: str) -> str:
    """An address without its user, password and query; `user:password@host` is one too. A path stays as it is."""
    value = re.sub(r"(?s)^(\w*:?//|(?![./~\\]|\w:[\\/])).*@", r"\1(not shown)@", value)
    return value.partition("?")[0] if "//" in value else value
