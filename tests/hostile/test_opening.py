"""Every file of a checkpoint is opened once, by descriptor, and only if it is a regular file.

A pipe would make a reader wait for ever and a device would feed it for ever: each is refused at once, whichever file it
stands for. A file that is exchanged meanwhile is the one or the other, never half of each.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from gemsmith.config import preset
from gemsmith.errors import GemsmithError
from gemsmith.formats import open_checkpoint
from gemsmith.formats.safetensors import TensorFile
from gemsmith.formats.shards import INDEX
from gemsmith.tokenizer import load_tokenizer
from tests.hostile.checkpoint import FILES, write_checkpoint
from tests.hostile.readers import NAMES, READERS

pytest.importorskip("torch")  # makes the checkpoint; none of it is needed to read one

THINGS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
SECONDS = 20  # after which a reader counts as waiting for ever


def within_time(read: Callable[[], object]) -> BaseException | None:
    """What `read` raised; AssertionError if it does not come back."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            with warnings.catch_warnings(action="ignore"):
                read()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "the reader waits for a file that never ends"
    return raised[0] if raised else None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("make", THINGS.values(), ids=THINGS.keys())
@pytest.mark.parametrize("kind", READERS)
def test_each_reader_refuses_what_is_no_file(kind: str, make: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / NAMES[kind]
    make(path)
    error = within_time(lambda: READERS[kind](path))
    assert isinstance(error, GemsmithError) and path.name in str(error), error


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("thing", ["a pipe", "a link to a device", "a folder"])
@pytest.mark.parametrize("name", [*FILES, INDEX, "adapter_config.json", "tokenizer_config.json"])
def test_loading_a_checkpoint_with_one_that_is_no_file(name: str, thing: str, tmp_path: Path) -> None:
    """Refused, or left alone where nothing needs it; never waited for."""
    import gemsmith

    folder = write_checkpoint(tmp_path / "model")
    if name == INDEX:
        (folder / "model.safetensors").unlink()
    if name == "tokenizer_config.json":
        (folder / "chat_template.jinja").unlink()
    (folder / name).unlink(missing_ok=True)
    THINGS[thing](folder / name)
    error = within_time(lambda: gemsmith.load(folder, device="cpu"))
    if name == "adapter_config.json":
        assert error is None
    else:
        assert isinstance(error, GemsmithError) and name in str(error), error


VERSIONS: dict[str, tuple[str, str]] = {  # two sound contents of one file, of unlike lengths
    "config": tuple(json.dumps(preset(name).to_json()) for name in ("pebble", "e2b")),  # type: ignore[dict-item]
    "generation": (json.dumps({"top_k": 1}), json.dumps({"top_k": 2, "temperature": 0.25, "padding": "x" * 4000})),
    "template": ("a" * 10, "b" * 100_000),
}


@pytest.mark.parametrize("by_link", [False, True], ids=["renamed", "link"])
@pytest.mark.parametrize("kind", VERSIONS)
def test_a_file_exchanged_while_it_is_read_is_one_or_the_other(kind: str, by_link: bool, tmp_path: Path) -> None:
    path, done = tmp_path / NAMES[kind], threading.Event()
    both = [tmp_path / "first", tmp_path / "second"]
    for file, text in zip(both, VERSIONS[kind], strict=True):
        file.write_text(text)
    path.symlink_to(both[0])
    expected = [READERS[kind](file) for file in both]

    def swap() -> None:
        for number in itertools.count():
            new = tmp_path / "new"
            if by_link:
                new.symlink_to(both[number % 2])
            else:
                new.write_text(VERSIONS[kind][number % 2])
            os.replace(new, path)
            if done.is_set():
                return

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        seen = [READERS[kind](path) for _ in range(200)]
    finally:
        done.set()
        swapper.join()
    assert all(value in expected for value in seen)


@pytest.mark.slow
def test_a_checkpoint_exchanged_while_it_is_opened_is_whole_or_refused(tmp_path: Path) -> None:
    """Folders behind a link, as in the Hub's cache: what opens has tensors of its config's shapes."""
    first, link, done = write_checkpoint(tmp_path / "first"), tmp_path / "link", threading.Event()
    second = write_checkpoint(tmp_path / "second", "BF16")
    link.symlink_to(first)

    def swap() -> None:
        for number in itertools.count():
            (tmp_path / "new").symlink_to((first, second)[number % 2])
            os.replace(tmp_path / "new", link)
            if done.is_set():
                return

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(30):
            checkpoint = open_checkpoint(link)
            assert len({view.dtype for view in checkpoint.values()}) == 1
            assert sum(view.nbytes for view in checkpoint.values()) > 0
    finally:
        done.set()
        swapper.join()


def test_what_is_mapped_stays_what_it_was_when_the_name_moves_on(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    file = TensorFile(folder / "model.safetensors")
    before = {name: bytes(view.buffer) for name, view in file.items()}
    (tmp_path / "other").write_bytes(b"\0" * 100)
    os.replace(tmp_path / "other", folder / "model.safetensors")
    assert {name: bytes(view.buffer) for name, view in file.items()} == before


def test_no_descriptor_is_left_open_by_refusals(tmp_path: Path) -> None:
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("this system does not list open files")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    (tmp_path / "config.json").write_text("[]")
    before = len(list(fds.iterdir()))
    for _ in range(100):
        for read in (load_tokenizer, TensorFile, open_checkpoint):
            with pytest.raises(GemsmithError):
                read(tmp_path / "tokenizer.json" if read is load_tokenizer else tmp_path / "model.safetensors")
    assert len(list(fds.iterdir())) <= before + 2
