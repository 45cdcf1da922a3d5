"""Where a person's files live, on systems that lack a home folder too; nothing is created by asking."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from gemsmith.cli import folders
from gemsmith.errors import GemsmithError

XDG = {"config": "XDG_CONFIG_HOME", "data": "XDG_DATA_HOME", "state": "XDG_STATE_HOME"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
asked = pytest.mark.parametrize("ask", [folders.config_file, folders.data_folder, folders.state_folder])


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for name in ("GEMSMITH_HOME", *XDG.values()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def no_home(monkeypatch):
    """As for `docker run --user 12345`: no HOME, and no such user in /etc/passwd."""
    import pwd

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@linux
def test_folders_follow_the_system(tmp_path):
    assert folders.config_file() == tmp_path / ".config/gemsmith/config.toml"
    assert folders.data_folder() == tmp_path / ".local/share/gemsmith"
    assert folders.state_folder() == tmp_path / ".local/state/gemsmith"


@linux
@asked
def test_xdg_variables_are_heeded_where_they_are_whole_paths(ask, monkeypatch, tmp_path):
    for name in XDG.values():
        monkeypatch.setenv(name, str(tmp_path / "x"))
    assert tmp_path / "x" in ask().parents
    for name in XDG.values():
        monkeypatch.setenv(name, "relative")
    assert ask().is_absolute()


@asked
def test_gemsmith_home_takes_everything(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("GEMSMITH_HOME", str(tmp_path / "all"))
    assert ask() in (tmp_path / "all", tmp_path / "all" / "config.toml")


@asked
def test_gemsmith_home_is_made_whole(ask, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMSMITH_HOME", "here")
    assert tmp_path / "here" in (ask(), *ask().parents)
    monkeypatch.setenv("GEMSMITH_HOME", "~/there")
    assert tmp_path / "there" in (ask(), *ask().parents)
    monkeypatch.setenv("GEMSMITH_HOME", "~nobody-of-that-name/there")
    with pytest.raises(GemsmithError, match="home is not known; give the whole path"):
        ask()


@linux
@asked
def test_without_a_home_reading_finds_nothing_and_writing_says_why(ask, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    no_home(monkeypatch)
    assert folders.home() is None
    assert ask().is_absolute() and not ask().exists()
    with pytest.raises(GemsmithError, match=r"there is no home folder.*GEMSMITH_HOME"):
        folders.private_folder(ask())
    assert not list(tmp_path.iterdir()), "a folder named ~ or such"


@linux
@pytest.mark.parametrize("home", ["", "relative/folder"])
def test_a_home_that_is_no_whole_path_is_not_taken_for_one(home, monkeypatch, tmp_path):
    import pwd

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    assert folders.home() == Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert folders.config_file().is_absolute() and tmp_path not in folders.config_file().parents


@asked
def test_asking_creates_nothing(ask, tmp_path):
    ask()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="no permission bits")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_new_folders_are_private_and_old_ones_stay(umask, tmp_path):
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        assert folders.private_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")]
    assert modes == [0o755, 0o700, 0o700]
    folders.private_folder(tmp_path)
    assert stat.S_IMODE(os.stat(tmp_path).st_mode) == 0o755


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(GemsmithError, match=r"cannot make the folder .*; set GEMSMITH_HOME"):
            folders.private_folder(folder)


def test_a_folder_that_cannot_be_made_is_told(monkeypatch, tmp_path):
    def mkdir(self: Path, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(GemsmithError, match=r"cannot make the folder .*Permission denied"):
        folders.private_folder(tmp_path / "new")
