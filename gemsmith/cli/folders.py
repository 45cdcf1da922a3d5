"""Where a person's settings, conversations and history live on this system.

Where that is depends on the system (platformdirs knows); GEMSMITH_HOME puts everything into one folder instead. Nothing
is created here but by `private_folder`, which a command calls when it is about to write. Model files are not here: they
are in Hugging Face's cache, so that other programs share them.
"""

from __future__ import annotations

import os
from pathlib import Path

from gemsmith.errors import GemsmithError

# Where there is no home folder, everything lives below a file: reading finds nothing there, and nothing can be written.
NOWHERE = Path(os.devnull)


def config_file() -> Path:
    """The user's own settings, whether or not there is such a file."""
    return _folder("config") / "config.toml"


def data_folder() -> Path:
    """What a person wants to keep: saved conversations."""
    return _folder("data")


def state_folder() -> Path:
    """What comes about by itself and may be lost: the history of typed lines."""
    return _folder("state")


def private_folder(folder: Path) -> Path:
    """Make `folder`, and what is missing above it, for its owner's eyes only; one that is there stays as it is."""
    if NOWHERE in folder.parents:
        raise GemsmithError(
            "there is no home folder to keep anything in (HOME is not set, and the system names none); set"
            " GEMSMITH_HOME to a folder that you may write to"
        )
    try:
        for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(20, "there is a file of that name")
    except OSError as cause:
        raise GemsmithError(
            f"cannot make the folder {folder}: {cause.strerror or cause}; set GEMSMITH_HOME to a folder that you may"
            " write to"
        ) from cause
    return folder


def home() -> Path | None:
    """The user's home folder: HOME where that is a whole path, else what the system knows of the user, else None."""
    found = os.path.expanduser("~")
    if not os.path.isabs(found) or (os.name == "posix" and not os.environ.get("HOME", "/")):
        found = _home_of_the_user()
    return Path(found) if os.path.isabs(found) else None


def _home_of_the_user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):  # Windows; `docker run --user 12345`
        return ""


def _folder(kind: str) -> Path:
    """This program's folder of a kind: config, data or state."""
    if chosen := os.environ.get("GEMSMITH_HOME"):
        expanded = os.path.expanduser(chosen)
        if expanded.startswith("~"):
            raise GemsmithError(f"GEMSMITH_HOME is {chosen!r}, and that user's home is not known; give the whole path")
        return Path(os.path.abspath(expanded))
    import platformdirs

    find = {
        "config": platformdirs.user_config_path,
        "data": platformdirs.user_data_path,
        "state": platformdirs.user_state_path,
    }[kind]
    try:
        found = find("gemsmith", appauthor=False)
    except RuntimeError:  # neither HOME nor the system names a home
        return NOWHERE / "gemsmith"
    return found if found.is_absolute() else NOWHERE / "gemsmith"  # "~/.config" would be a folder of that name, here
